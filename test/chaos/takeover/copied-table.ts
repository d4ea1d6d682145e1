import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { AdminClient } from '../../../src/admin/client.ts';
import type { Random } from '../../../src/local/demo/random.ts';
import type { Report } from '../violation.ts';

const SCHEMA = 'copies';
const NAME = `${SCHEMA}.rows_of_it`;
const ROWS = 8_000;
const WITHIN_MS = 90_000;

interface CopyEvent {
  op: string;
  after: { id: number; v: number } | null;
  seq: string;
}

/** A table that is copied by backfills over takeovers, while its rows change. */
export class CopiedTable {
  readonly #connection: Connection;
  readonly #socket: () => string;
  readonly #report: Report;
  /** What the lake has: the row of the highest seq. */
  readonly #fold = new Map<number, { seq: string; v: number }>();
  events = 0;
  copied = 0;
  requests = 0;

  /** @param socket that of the leader */
  private constructor(connection: Connection, socket: () => string, report: Report) {
    this.#connection = connection;
    this.#socket = socket;
    this.#report = report;
  }

  static async create(url: string, socket: () => string, report: Report): Promise<CopiedTable> {
    const connection = await createConnection({ uri: url });
    await connection.query(`CREATE DATABASE ${SCHEMA}`);
    await connection.query(`CREATE TABLE ${NAME} (id INT PRIMARY KEY, v INT NOT NULL)`);
    await connection.query(`INSERT INTO ${NAME} SELECT n, 0 FROM chaos.numbers WHERE n < ${ROWS}`);
    return new CopiedTable(connection, socket, report);
  }

  static readonly pattern = `${SCHEMA}.*`;

  takes(line: string): boolean {
    if (!line.includes(`"table":"${NAME.slice(SCHEMA.length + 1)}"`)) return false;
    const { op, after, seq } = JSON.parse(line) as CopyEvent;
    this.events++;
    if (op === 'r') this.copied++;
    if (op === 't') this.#fold.clear();
    if (after === null) return true;
    const last = this.#fold.get(after.id);
    if (last === undefined || last.seq < seq) this.#fold.set(after.id, { seq, v: after.v });
    return true;
  }

  /** Begins a backfill, and changes rows meanwhile. */
  async begin(random: Random): Promise<void> {
    const client = new AdminClient(this.#socket());
    try {
      await client.startBackfill({ tables: [NAME] });
      this.requests++;
    } finally {
      client.close();
    }
    for (let i = 0; i < 5; i++) {
      await this.#connection.query(`UPDATE ${NAME} SET v = v + 1 WHERE id % 37 = ${random.below(37)}`);
      await sleep(random.below(60));
    }
  }

  /** Waits for the backfills, then compares. */
  async finishAndCompare(signal: AbortSignal): Promise<void> {
    if (this.requests === 0) return;
    const deadline = Date.now() + WITHIN_MS;
    let state = 'unknown';
    while (Date.now() < deadline && !signal.aborted) {
      state = await this.#state();
      if (state === 'done' && (await this.#differing()) === 0) return;
      await sleep(200);
    }
    if (signal.aborted) return;
    const differing = await this.#differing();
    this.#report({
      promise: state === 'done' ? 'convergence' : 'lagHeals',
      what: state === 'done' ? 'copied rows differ from the source' : 'a backfill did not end after the takeovers',
      evidence: { state, differing, requests: this.requests },
    });
  }

  async close(): Promise<void> {
    this.#connection.destroy();
  }

  async #state(): Promise<string> {
    const client = new AdminClient(this.#socket());
    try {
      const { tables } = await client.backfill();
      const isOpen = tables.some(({ state }) => state === 'queued' || state === 'reading');
      if (isOpen) return 'reading';
      const { tables: known } = await client.status();
      return known.find(({ table }) => NAME.endsWith(`.${table}`))?.coverage.complete ? 'done' : 'not complete';
    } catch (error) {
      return (error as Error).message;
    } finally {
      client.close();
    }
  }

  async #differing(): Promise<number> {
    const [rows] = await this.#connection.query<RowDataPacket[]>(`SELECT id, v FROM ${NAME}`);
    return rows.filter(({ id, v }) => this.#fold.get(Number(id))?.v !== Number(v)).length;
  }
}
