import { expect, test } from 'vitest';
import { charsetOf, decodeText } from '../../src/codec/charset/charset.ts';
import { seededRandom } from '../../src/local/demo/random.ts';
import { CdcError } from '../../src/runtime/error.ts';
import { BinlogDecoder } from '../../src/source/binlog/binlog-decoder.ts';
import { IGNORE_EVENTS } from '../../src/source/binlog/ignore-events.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { captureEvents, GTID_EVENT_TYPES } from '../fuzz/capture.ts';
import { mutateEvent } from '../fuzz/mutate.ts';
import { randomQueryEvents } from '../fuzz/query-events.ts';
import { startTestServer } from './test-server.ts';

/** `npm run fuzz` runs a million mutations. */
const MUTATIONS = Number(process.env.CDC_FUZZ_MUTATIONS ?? 20_000);
const SEED = Number(process.env.CDC_FUZZ_SEED ?? 1);

const READ_MS_MAX = 100;
const FORMAT_DESCRIPTION = 15;
const QUERY = 2;

/** Sessions of many kinds: their Query events have the status variables that servers write. */
const STATEMENTS = [
  'CREATE TABLE t (id INT PRIMARY KEY, v INT)',
  "SET SESSION sql_mode = 'ANSI_QUOTES'",
  'TRUNCATE TABLE "t"',
  "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
  'SET NAMES latin1',
  'TRUNCATE TABLE t',
  'SET NAMES utf8mb4',
  "SET SESSION time_zone = '+02:00', lc_time_names = 'de_DE', auto_increment_increment = 7",
  'BEGIN',
  'INSERT INTO t VALUES (1, 1)',
  'SAVEPOINT `step one`',
  'INSERT INTO t VALUES (2, 2)',
  'COMMIT',
  'CREATE DEFINER = CURRENT_USER VIEW v AS SELECT * FROM t',
  'SET SESSION binlog_format = STATEMENT',
  'UPDATE t SET v = 3',
  'DROP TABLE t',
];

/** The format description of a file, as far as the decoder reads it. */
function formatDescription(version: string): Buffer {
  const event = Buffer.alloc(19 + 57);
  event[4] = FORMAT_DESCRIPTION;
  event.writeUInt32LE(event.length, 9);
  event.writeUInt16LE(4, 19);
  event.write(version, 21);
  return event;
}

test.each(['mysql', 'mariadb'] as const)(
  'a damaged statement of %s gives an error or is read as a statement, in bounded time and from its event alone',
  async (flavor) => {
    const mariadb = flavor === 'mariadb';
    // Of its own: DML that is logged as a statement can stop the streams of other tests.
    const server = await startTestServer({ flavor });
    const { url } = server;
    const schema = `fuzz_statements_${flavor}_${process.pid}`;
    const captured = await captureEvents(url, schema, STATEMENTS);
    const queries = captured.filter((event) => event[4] === QUERY && event.includes(schema));
    const begins = captured.filter((event) => GTID_EVENT_TYPES.includes(event[4] as number));
    expect(queries.length).toBeGreaterThan(5);
    const { hostname: host, port, username: user } = new URL(url);
    const { charsets } = await readServerInfo({ host, port: Number(port), user });
    await server.stop();
    const random = seededRandom(SEED);
    const format = formatDescription(mariadb ? '10.11.16-MariaDB-log' : '9.7.4');
    let rejected = 0;
    let read = 0;

    /** Reads the events, each between bytes that are not its own. Returns everything that the handler has received. */
    function attempt(events: readonly Buffer[], filling: number, isBeforeStart: boolean): { ms: number; seen: string } {
      const seen: unknown[] = [];
      const note =
        (what: string) =>
        (...values: unknown[]): void => {
          seen.push([what, ...values]);
        };
      const decoder = new BinlogDecoder<undefined>(
        {
          ...IGNORE_EVENTS,
          isCaptured: (schema, table) => {
            seen.push([schema, table]);
            return table !== 'other';
          },
          tableMap: () => undefined,
          isHarmless: ({ writes, calls }) => {
            seen.push([writes, [...calls]]);
            return Promise.resolve(true);
          },
          ddl: note('ddl'),
          truncate: note('truncate'),
          savepoint: note('savepoint'),
          rollbackTo: note('rollbackTo'),
          commit: note('commit'),
          rollback: note('rollback'),
        },
        (bytes, collation) => decodeText(bytes, charsetOf(collation, charsets)),
        false,
        isBeforeStart ? { skipBefore: { file: '', position: 2 ** 40 } } : {},
      );
      // Not by the clock: a busy machine gives a process its turns when it likes.
      const begin = process.cpuUsage();
      try {
        for (const event of events) {
          const surrounded = Buffer.alloc(event.length + 600, filling);
          event.copy(surrounded, 300);
          for (const _ of decoder.read(surrounded, 300, 300 + event.length) ?? []);
        }
        read++;
      } catch (error) {
        rejected++;
        if (!(error instanceof CdcError)) throw error;
        seen.push([error.message, error.why]);
      }
      const { user, system } = process.cpuUsage(begin);
      return { ms: (user + system) / 1000, seen: JSON.stringify(seen) };
    }

    for (let pass = 0; pass < MUTATIONS / 4; pass++) {
      const events = randomQueryEvents(random.pick(queries), random, mariadb);
      const last = events.pop() as Buffer;
      const damaged = random.chance(0.5) ? mutateEvent(last, random) : last;
      const all = [format, random.pick(begins), ...events, damaged];
      // Of events before the start only the ends of transactions are read.
      const isBeforeStart = random.chance(0.15);
      const what = `seed ${SEED}, pass ${pass}: ${damaged.toString('hex').slice(0, 4_000)}`;
      let first: { ms: number; seen: string };
      try {
        first = attempt(all, 0, isBeforeStart);
        expect(attempt(all, 0x27, isBeforeStart).seen, 'bytes outside the event change nothing').toBe(first.seen);
      } catch (error) {
        throw new Error(what, { cause: error });
      }
      // The garbage collector can take its time in one run, but a hang occurs again.
      if (first.ms > READ_MS_MAX) {
        const again = [1, 2, 3].map(() => attempt(all, 0, isBeforeStart).ms);
        expect(Math.min(...again), what).toBeLessThan(READ_MS_MAX);
      }
    }
    expect(rejected, 'much damage is detected').toBeGreaterThan(MUTATIONS / 100);
    expect(read, 'much damage leaves a statement').toBeGreaterThan(MUTATIONS / 100);
  },
  Math.max(60_000, MUTATIONS),
);
