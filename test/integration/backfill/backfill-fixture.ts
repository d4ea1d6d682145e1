import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AdminClient } from '../../../src/admin/client.ts';
import type { DaemonStatus } from '../../../src/admin/daemon-status.ts';
import type { TableStatus } from '../../../src/backfill/control.ts';
import { asCdcError } from '../../../src/runtime/error.ts';
import { type Cdc, type Ended, Fixture, startCdc, tableOf, until } from '../pipeline-fixture.ts';

const isOpen = (table: TableStatus | undefined): boolean => table?.state === 'queued' || table?.state === 'reading';

/** An event of a backfill, as much as tests look at. */
export interface SnapshotEvent {
  op: string;
  seq: string;
  key: unknown;
  after: Record<string, unknown> | null;
}

type Calls = { status: AdminClient['running'] } & Pick<
  AdminClient,
  'backfill' | 'startBackfill' | 'changeBackfill' | 'verified' | 'repair'
>;
type Coverage = DaemonStatus['tables'][number]['coverage'];

/** A schema, a lake, a configuration, and a daemon that `cdc backfill` finds. */
export class BackfillFixture extends Fixture {
  daemon: Cdc | undefined;

  /** Calls to the daemon, each over a connection of its own: a server ends idle ones when it likes. */
  readonly client: Calls = {
    status: () => this.#call((client) => client.running()),
    backfill: () => this.#call((client) => client.backfill()),
    startBackfill: (request) => this.#call((client) => client.startBackfill(request)),
    changeBackfill: (change, tables) => this.#call((client) => client.changeBackfill(change, tables)),
    verified: (results) => this.#call((client) => client.verified(results)),
    repair: (request) => this.#call((client) => client.repair(request)),
  };

  /** As other clients do, it asks again where the pipeline does not run: a connection can end at any time. */
  async #call<T>(call: (client: AdminClient) => Promise<T>): Promise<T> {
    let answer: { of: T } | undefined;
    await until(async () => {
      const client = new AdminClient(join(this.directory, 'state', 'shop.sock'));
      try {
        answer = { of: await call(client) };
      } catch (error) {
        if (asCdcError(error).kind !== 'retry' || this.daemon?.child.exitCode !== null) throw error;
      } finally {
        client.close();
      }
      return answer !== undefined;
    });
    return (answer as { of: T }).of;
  }

  /** Starts Firehose and the daemon. `extra` is YAML text that follows in the configuration. */
  async start(extra = ''): Promise<void> {
    const { endpoint } = this.firehose ?? (await this.startFirehose());
    this.configure(endpoint, extra);
    await this.startDaemon();
  }

  async startDaemon(): Promise<void> {
    this.daemon = await this.run();
    if (this.daemon.child.exitCode !== null) throw new Error(this.daemon.stderr());
    await this.answers();
  }

  /** Waits until the daemon takes requests. */
  answers(): Promise<void> {
    return until(async () => (await this.client.backfill().catch(() => undefined)) !== undefined);
  }

  async stopDaemon(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended | undefined> {
    this.daemon?.child.kill(signal);
    const ended = await this.daemon?.ended;
    this.daemon = undefined;
    return ended;
  }

  /** `cdc backfill`, running. */
  command = (...words: string[]): Cdc => startCdc(this.directory, 'backfill', ...words);
  /** `cdc backfill` to its end. */
  backfill = (...words: string[]): Promise<Ended> => this.command(...words).ended;

  /** The newest state of a table that the daemon knows; undefined if it does not know it. */
  async table(name: string): Promise<TableStatus | undefined> {
    return (await this.client.backfill()).tables.findLast(({ table }) => table === name);
  }

  /** Starts backfills of tables of the schema and waits for their ends. Returns the last state of each. */
  async copy(...names: string[]): Promise<TableStatus[]> {
    await this.client.startBackfill({ tables: names.map((name) => `${this.schema}.${name}`) });
    return this.over(...names);
  }

  /** Waits for the ends of tables that are read slowly. What is left of them is read as fast as it can be. */
  async hurry(...names: string[]): Promise<TableStatus[]> {
    // Meanwhile none of them ends, and the request attaches to it instead of copying it once more.
    await this.client.changeBackfill('pause');
    const { tables } = await this.client.backfill();
    const open = names.filter((name) => isOpen(tables.findLast(({ table }) => table === name)));
    if (open.length > 0) {
      await this.client.startBackfill({ tables: open.map((name) => `${this.schema}.${name}`), rate: 1_000_000 });
    }
    await this.client.changeBackfill('resume');
    return this.over(...names);
  }

  /** Waits until nothing of these tables is queued or read any more. */
  async over(...names: string[]): Promise<TableStatus[]> {
    let found: TableStatus[] = [];
    await until(async () => {
      const { tables } = await this.client.backfill();
      found = names.flatMap((name) => tables.findLast(({ table }) => table === name) ?? []);
      return found.length === names.length && !found.some(isOpen);
    });
    return found;
  }

  /** Whether the daemon says that the lake holds the whole table, and why. It lists new tables a moment later. */
  async coverage(name: string): Promise<Coverage> {
    let found: Coverage | undefined;
    await until(async () => {
      const { tables } = await this.client.status();
      found = tables.find(({ schema, table }) => schema === this.schema && table === name)?.coverage;
      return found !== undefined;
    });
    return found as Coverage;
  }

  /** The `r` events of a table that are in the lake. */
  async snapshotEvents(table: string): Promise<SnapshotEvent[]> {
    const events = (await this.landed()) as unknown as SnapshotEvent[];
    return events.filter((event) => event.op === 'r' && tableOf(event as never) === table);
  }

  /** A configuration of its own text; the daemon and commands use it from their next start on. */
  write(yaml: string): void {
    writeFileSync(join(this.directory, 'cdc.yaml'), yaml);
  }

  override async remove(): Promise<void> {
    await this.stopDaemon('SIGKILL');
    await super.remove();
  }
}

/** `INSERT INTO table` statements of rows 1 to `count` of the columns (id, v), in pieces of 5,000 rows. */
export function rowsOf(table: string, count: number, v = "REPEAT('x', 20)"): string[] {
  const statements: string[] = [];
  for (let from = 1; from <= count; from += 5_000) {
    const values = Array.from({ length: Math.min(5_000, count - from + 1) }, (_, i) => `(${from + i}, ${v})`);
    statements.push(`INSERT INTO ${table} (id, v) VALUES ${values.join()}`);
  }
  return statements;
}
