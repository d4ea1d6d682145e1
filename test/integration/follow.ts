import { tmpdir } from 'node:os';
import { createConnection } from 'mysql2/promise';
import { parseConfig } from '../../src/config/load.ts';
import { sourceConnection } from '../../src/config/source-connection.ts';
import type { EventOp } from '../../src/model/encoded-event.ts';
import type { Table } from '../../src/model/table.ts';
import { ChangeStream } from '../../src/source/change-stream.ts';
import { readServerInfo, type ServerInfo } from '../../src/source/server/server-info.ts';
import { startPoint } from '../../src/source/start-point.ts';
import { IGNORE_CHANGES, keyOf, lineOf } from '../encoded-event.ts';

/** A line as it was emitted, and the hash that picks its lane. */
export interface Line {
  text: string;
  event: Record<string, unknown>;
  key: string;
  keyHash: number;
  op: EventOp;
  table: Table;
}

/** Whether the line is of the marker, the one with this id if it matters. */
const isMarker = (text: string, id: number | undefined): boolean =>
  /table":"marker"/.test(text) && (id === undefined || text.includes(`"after":{"id":${id}}`));

/** Where to begin, if not before what was run, and what to call for each table version. */
interface FollowOptions {
  from?: string;
  onTable?: () => void;
}

/** What a schema of its own did, to be read from the binlog with any configuration, as often as wanted. */
export class History {
  readonly #url: string;
  readonly #schema: string;
  #before: ServerInfo | undefined;

  constructor(url: string, schema: string) {
    this.#url = url;
    this.#schema = schema;
  }

  async #query(...statements: string[]): Promise<void> {
    const connection = await createConnection({ uri: this.#url, charset: 'utf8mb4' });
    try {
      for (const sql of statements) await connection.query(sql);
    } finally {
      connection.destroy();
    }
  }

  /** The end of the binlog as `file:position`, for `from`. */
  async end(): Promise<string> {
    const { end } = await readServerInfo(this.#connection());
    return `${end.file}:${end.position}`;
  }

  /** Runs more statements in one session, then the marker with this id. */
  async more(marker: number, ...statements: string[]): Promise<void> {
    await this.#query(`USE ${this.#schema}`, ...statements, `INSERT INTO marker VALUES (${marker})`);
  }

  /** Drops and creates the schema, notes where `lines` begins to read, and runs the statements in one session. */
  async run(setUp: string[], ...statements: string[]): Promise<void> {
    const use = `USE ${this.#schema}`;
    await this.#query(`DROP DATABASE IF EXISTS ${this.#schema}`, `CREATE DATABASE ${this.#schema}`, use, ...setUp);
    await this.#query(use, 'CREATE TABLE marker (id INT PRIMARY KEY)');
    this.#before = await readServerInfo(this.#connection());
    await this.#query(use, ...statements, 'SET SESSION binlog_row_image = FULL', 'INSERT INTO marker VALUES (1)');
  }

  /** The lines of what was run, as a configuration makes them, up to the marker, or where it took this id. */
  async lines(yaml: string, marker?: number, { from, onTable }: FollowOptions = {}): Promise<Line[]> {
    const tables = `tables: ["${this.#schema}.*"]\n`;
    const config = parseConfig(
      `source: { url: "${this.#url}" }\nfirehose: { stream: s }\n${yaml.includes('tables:') ? '' : tables}${yaml}`,
      { file: 'cdc.yaml', directory: tmpdir(), env: {} },
    );
    const server = from === undefined ? (this.#before as ServerInfo) : await readServerInfo(this.#connection());
    const lines: Line[] = [];
    let open: Line[] = [];
    const savepoints = new Map<string, number>();
    const done = new AbortController();
    const start = startPoint({ start: from ?? 'now' }, undefined, server, 1);
    await new ChangeStream({ config, server, start, signal: done.signal, ...(onTable && { onTable }) }).follow({
      ...IGNORE_CHANGES,
      append(_target, event) {
        const text = lineOf(event);
        if (isMarker(text, marker)) done.abort();
        else {
          const { keyHash, op, table } = event;
          open.push({ text, event: JSON.parse(text), key: keyOf(event), keyHash, op, table });
        }
      },
      savepoint: (name) => void savepoints.set(name, open.length),
      rollbackTo(name) {
        open.length = savepoints.get(name) ?? open.length;
      },
      commit() {
        lines.push(...open);
        open = [];
      },
      rollback() {
        open = [];
      },
    });
    return lines;
  }

  #connection() {
    return sourceConnection({ url: this.#url, server_id: 'auto', start: 'now' });
  }

  remove(): Promise<void> {
    return this.#query(`DROP DATABASE IF EXISTS ${this.#schema}`);
  }
}
