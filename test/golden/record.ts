import { type Connection, createConnection } from 'mysql2/promise';
import { test } from 'vitest';
import { sourceConnection } from '../../src/config/source-connection.ts';
import { type ServerKind as Flavor, startLocalServer } from '../../src/local/mysql/server.ts';
import { BinlogClient } from '../../src/source/binlog/binlog-client.ts';
import { ChangeStream } from '../../src/source/change-stream.ts';
import { TableSchemaCache } from '../../src/source/schema/table-schema-cache.ts';
import { readServerInfo, type ServerInfo } from '../../src/source/server/server-info.ts';
import { startPoint } from '../../src/source/start-point.ts';
import { IGNORE_CHANGES, lineOf } from '../encoded-event.ts';
import { caseTables } from '../oracle/case-tables.ts';
import { charsetTables } from '../oracle/charset-tables.ts';
import type { OracleTable } from '../oracle/oracle.ts';
import { MARIADB_COLUMNS, RANDOM_COLUMNS, randomTable } from '../oracle/random-rows.ts';
import { specialTables } from '../oracle/special-tables.ts';
import { MARIADB_CASES, OLD_TEMPORAL_CASES, type Server, TYPE_CASES } from '../oracle/type-cases.ts';
import { configOf, type Fixture } from './decode.ts';
import { FIXTURES, type FixtureName, readFixture, writeFixture, writeSections } from './files.ts';
import { makeSections } from './outputs.ts';
import { writeCheckpointFiles, writeLetterFiles } from './state.ts';
import {
  MARIADB_STORY,
  MYSQL_56_STORY,
  MYSQL_STORY,
  MYSQL_STORY_TABLES,
  MYSQL_UNNAMED_STORY,
  STEP,
  STORY_TABLES,
} from './stories.ts';

/**
 * Writes the golden files. Only for code whose output is known to be right: what these files say is the contract.
 *
 *     CDC_GOLDEN=outputs npx vitest run --project unit test/golden/record.ts    events of the fixtures that are there
 *     CDC_GOLDEN=fixtures npx vitest run --project unit test/golden/record.ts   fixtures too, from servers of its own
 */
const FROM_SERVERS = process.env.CDC_GOLDEN === 'fixtures';
const MINUTES = 60_000;

interface Plan {
  flavor: Flavor;
  settings?: string[];
  /** Schemas by name: what is made before the binlog is recorded, and what is recorded. */
  setUp: Record<string, readonly string[]>;
  recorded: readonly string[];
}

const STRICT = 'STRICT_ALL_TABLES';
const quoteName = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
const created = (tables: readonly OracleTable[]): string[] => tables.flatMap(({ create }) => create);

/** Each row is inserted, changed and deleted. */
const lived = (schema: string, tables: readonly OracleTable[]): string[] => [
  `USE ${schema}`,
  ...tables.flatMap(({ name, fill, mode }) => [
    `SET sql_mode = '${mode ?? STRICT}'`,
    ...fill,
    `UPDATE ${quoteName(name)} SET n = n + 1`,
    `DELETE FROM ${quoteName(name)}`,
  ]),
  `SET sql_mode = '${STRICT}'`,
];

/** One row in sixteen of the tables that hold every code of a character set: all of them would be megabytes. */
const sampled = (schema: string, tables: readonly OracleTable[]): string[] => [
  `USE ${schema}`,
  'SET sql_log_bin = 0',
  ...tables.flatMap(({ fill }) => fill),
  'SET sql_log_bin = 1',
  ...tables.map(({ name }) => `DELETE FROM ${name} WHERE id % 16 = 1`),
];

const inserted = (schema: string, { fill, mode }: OracleTable): string[] => [
  `USE ${schema}`,
  `SET sql_mode = '${mode ?? STRICT}'`,
  ...fill,
  `SET sql_mode = '${STRICT}'`,
];

/** Without GTIDs a transaction can contain non-transactional tables, whose savepoints are in the binlog. */
const NO_GTIDS = ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'];
const ROWS = 12;
const types = (server: Server, cases = TYPE_CASES, columns = RANDOM_COLUMNS) => {
  const tables = [...caseTables(server, cases), ...specialTables(server)];
  const random = randomTable(server, ROWS, 1, columns);
  const charsets = charsetTables(server);
  return {
    setUp: created([...tables, random, ...charsets]),
    recorded: [
      ...lived('golden_types', tables),
      ...inserted('golden_types', random),
      ...sampled('golden_types', charsets),
    ],
  };
};

function planOf(name: FixtureName): Plan {
  switch (name) {
    case 'mysql-9.7': {
      const { setUp, recorded } = types('MySQL 9.7');
      return {
        flavor: 'mysql',
        setUp: { golden_types: setUp, golden_story: MYSQL_STORY_TABLES },
        recorded: [...recorded, 'USE golden_story', ...MYSQL_STORY],
      };
    }
    case 'mysql-9.7-unnamed':
      return {
        flavor: 'mysql',
        settings: ['--binlog-row-metadata=MINIMAL', ...NO_GTIDS],
        setUp: { golden_story: MYSQL_STORY_TABLES },
        recorded: ['USE golden_story', ...MYSQL_UNNAMED_STORY],
      };
    case 'mariadb-10.11': {
      const { setUp, recorded } = types(
        'MariaDB 10.11',
        [...TYPE_CASES, ...MARIADB_CASES],
        [...RANDOM_COLUMNS, ...MARIADB_COLUMNS],
      );
      const old = caseTables('MariaDB 10.11', OLD_TEMPORAL_CASES);
      return {
        flavor: 'mariadb',
        setUp: {
          golden_types: setUp,
          golden_old: [
            'SET GLOBAL mysql56_temporal_format = OFF',
            ...created(old),
            'SET GLOBAL mysql56_temporal_format = ON',
          ],
          golden_story: STORY_TABLES,
        },
        recorded: [...recorded, ...lived('golden_old', old), 'USE golden_story', ...MARIADB_STORY],
      };
    }
    case 'mysql-5.6': {
      const { setUp, recorded } = types('MySQL 5.6');
      return {
        flavor: 'mysql-5.6',
        settings: NO_GTIDS,
        setUp: { golden_types: setUp, golden_story: STORY_TABLES },
        recorded: [...recorded, 'USE golden_story', ...MYSQL_56_STORY],
      };
    }
  }
}

/** Sessions of a server, by name. */
class Sessions {
  readonly #url: string;
  readonly #open = new Map<string, Connection>();

  constructor(url: string) {
    this.#url = url;
  }

  async run(statements: readonly string[]): Promise<void> {
    for (const statement of statements) {
      const [, name = '', sql = ''] = /^(?:@(\w+) )?(.*)$/s.exec(statement) ?? [];
      const session = this.#open.get(name) ?? (await this.#connect(name));
      await session.query(sql).catch((error: Error) => {
        throw new Error(`${error.message}\n${sql.slice(0, 300)}`, { cause: error });
      });
    }
  }

  async #connect(name: string): Promise<Connection> {
    const session = await createConnection({ uri: this.#url, charset: 'utf8mb4' });
    await session.query(`SET time_zone = '+00:00', sql_mode = '${STRICT}'`);
    if (name !== '') await session.query('USE golden_story');
    this.#open.set(name, session);
    return session;
  }

  close(): void {
    for (const session of this.#open.values()) session.destroy();
  }
}

async function record(name: FixtureName): Promise<Fixture> {
  const { flavor, settings = [], setUp, recorded } = planOf(name);
  const server = await startLocalServer({ flavor, settings });
  const sessions = new Sessions(server.url);
  try {
    await sessions.run(['CREATE DATABASE elsewhere', 'CREATE TABLE elsewhere.t (id INT)']);
    for (const [schema, statements] of Object.entries(setUp)) {
      await sessions.run([`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`, `USE ${schema}`, ...statements]);
    }
    await sessions.run(['CREATE TABLE golden_story.done (step INT PRIMARY KEY)', 'FLUSH BINARY LOGS']);
    const connection = sourceConnection({ ...configOf({ format: 'debezium' }).source, url: server.url });
    const begin = await readServerInfo(connection);
    // At the start of a file, whose first events a stream from the middle would lack.
    const start = { file: begin.end.file, position: 4 };
    const memory = new TableSchemaCache([]);
    for (const [i, statements] of steps(recorded).entries()) {
      await sessions.run([...statements, `INSERT INTO golden_story.done VALUES (${i})`]);
      await lookUp(server.url, { ...begin, end: start }, memory, i);
    }
    const { end } = await readServerInfo(connection);
    const { events, checksum } = await capture(connection, start, end);
    return {
      name,
      flavor: begin.flavor,
      version: begin.version,
      identity: begin.identity,
      caseSensitive: begin.caseSensitive,
      gtids: begin.executed !== undefined,
      checksum,
      start,
      charsets: [...begin.charsets],
      tables: memory.entriesFrom(start),
      events,
    };
  } finally {
    sessions.close();
    await server.stop();
  }
}

function steps(statements: readonly string[]): string[][] {
  const all: string[][] = [[]];
  for (const statement of statements) {
    if (statement === STEP) all.push([]);
    else all.at(-1)?.push(statement);
  }
  return all;
}

/** Follows the stream as the daemon does, so that the columns that it does not name are looked up. */
async function lookUp(url: string, server: ServerInfo, memory: TableSchemaCache, step: number): Promise<void> {
  const config = { ...configOf({ format: 'debezium' }) };
  config.source = { ...config.source, url };
  const done = new AbortController();
  const marker = `"after":{"step":${step}}`;
  // Another `executed` would begin the dump after what is recorded.
  const facts = { ...server, executed: undefined };
  const start = { ...startPoint({ start: 'now' }, undefined, facts), tableSchemas: memory };
  await new ChangeStream({ config, server: facts, start, signal: done.signal }).follow({
    ...IGNORE_CHANGES,
    append(_target, event) {
      if (lineOf(event).includes(marker)) done.abort();
    },
  });
}

const ROTATE = 4;

async function capture(
  connection: ReturnType<typeof sourceConnection>,
  start: Fixture['start'],
  end: Fixture['start'],
): Promise<{ events: Buffer; checksum: boolean }> {
  const events: Buffer[] = [];
  let checksum = false;
  let file = start.file;
  const done = new AbortController();
  await new BinlogClient({
    connection,
    serverId: 'auto',
    from: { coordinates: start },
    heartbeatMs: 5_000,
    onStart: (on) => {
      checksum = on;
    },
    onEvent(bytes, from, to) {
      if (done.signal.aborted) return undefined;
      events.push(Buffer.from(bytes.subarray(from, to)));
      const isRotate = bytes[from + 4] === ROTATE;
      if (isRotate && bytes.includes(end.file, from)) file = end.file;
      if (!isRotate && file === end.file && bytes.readUInt32LE(from + 13) >= end.position) done.abort();
      return undefined;
    },
    signal: done.signal,
  }).follow();
  return { events: Buffer.concat(events), checksum };
}

test.skipIf(!FROM_SERVERS).each(FIXTURES)('records the binlog of %s', { timeout: 10 * MINUTES }, async (name) => {
  writeFixture(await record(name));
});

test.each(FIXTURES)('writes the events of %s', { timeout: 5 * MINUTES }, (name) => {
  writeSections(name, makeSections(readFixture(name)));
});

test('writes checkpoints and dead letters', { timeout: MINUTES }, async () => {
  await writeCheckpointFiles();
  await writeLetterFiles();
});
