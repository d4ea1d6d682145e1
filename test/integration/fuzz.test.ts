import { expect, inject, test } from 'vitest';
import { ByteWriter } from '../../src/codec/bytes/byte-writer.ts';
import { charsetOf, decodeText } from '../../src/codec/charset/charset.ts';
import { EventWriter } from '../../src/codec/event-writer.ts';
import { configSchema } from '../../src/config/schema.ts';
import { seededRandom } from '../../src/local/demo/random.ts';
import { CdcError } from '../../src/runtime/error.ts';
import { BinlogDecoder } from '../../src/source/binlog/binlog-decoder.ts';
import { IGNORE_EVENTS } from '../../src/source/binlog/ignore-events.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { captureEvents, GTID_EVENT_TYPES } from '../fuzz/capture.ts';
import { mutateEvent } from '../fuzz/mutate.ts';

/** `npm run fuzz` runs a million mutations. */
const MUTATIONS = Number(process.env.CDC_FUZZ_MUTATIONS ?? 20_000);
const SEED = Number(process.env.CDC_FUZZ_SEED ?? 1);

/** The limits of time and output for one damaged event with the events before it. */
const DECODE_MS_MAX = 100;
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const STATEMENTS = [
  `CREATE TABLE f (id INT PRIMARY KEY, t TINYINT, big BIGINT UNSIGNED, d DECIMAL(30,10), fl FLOAT, db DOUBLE, b BIT(33),
     c CHAR(10), vc VARCHAR(300) CHARACTER SET latin1, tx TEXT, bl BLOB, bi BINARY(6), e ENUM('a','b"c'), s SET('x','y','z'),
     da DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL, ti TIME(2), y YEAR, js JSON, g GEOMETRY, \`__proto__\` INT)`,
  `INSERT INTO f VALUES (1, -1, 18446744073709551615, -12345.678, 1.1, 2.5e300, b'101', 'c', 'ÄÖ', 'text "q"', x'00ff', x'01',
     'b"c', 'x,z', '2026-01-02', '2026-01-02 03:04:05.678901', '2026-01-02 03:04:05.678', '-12:34:56.78', 2026,
     '{"a":[1,2.5,"x",null,{"b":true}],"big":18446744073709551615,"s":"ü\\\\n"}', ST_GeomFromText('POINT(1 2)'), 7)`,
  'INSERT INTO f (id) VALUES (2), (3)',
  `UPDATE f SET js = JSON_SET(js, '$.a[1]', CAST('2026-01-01 00:00:00' AS DATETIME)), id = 10 WHERE id = 1`,
  'DELETE FROM f WHERE id = 2',
  'SET SESSION binlog_row_image = MINIMAL',
  `UPDATE f SET tx = REPEAT('y', 500) WHERE id = 10`,
  'DELETE FROM f',
];
const MYSQL_ONLY = [
  `SET SESSION binlog_row_image = FULL, binlog_row_value_options = PARTIAL_JSON`,
  `INSERT INTO f (id, js) VALUES (20, JSON_OBJECT('pad', REPEAT('p', 200), 'n', 1, 'list', JSON_ARRAY(1, 2, 3)))`,
  `UPDATE f SET js = JSON_REMOVE(JSON_SET(js, '$.n', 2, '$.list[1]', 'two'), '$.list[2]') WHERE id = 20`,
  `SET SESSION binlog_transaction_compression = ON`,
  `UPDATE f SET tx = REPEAT('compressed ', 300) WHERE id = 20`,
  `XA START 'fuzz'`,
  `INSERT INTO f (id) VALUES (30)`,
  `XA END 'fuzz'`,
  `XA PREPARE 'fuzz'`,
  `XA COMMIT 'fuzz'`,
];

test.each(['mysql', 'mariadb'] as const)(
  'a damaged event of %s gives an error or valid JSON, in bounded time and with bounded output',
  async (flavor) => {
    const url = inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
    const statements = flavor === 'mysql' ? [...STATEMENTS, ...MYSQL_ONLY] : STATEMENTS;
    const events = await captureEvents(url, `fuzz_${flavor}_${process.pid}`, statements);
    expect(events.length).toBeGreaterThan(20);
    const { hostname: host, port, username: user } = new URL(url);
    const { charsets } = await readServerInfo({ host, port: Number(port), user });
    const { values } = configSchema.parse({ source: { url: 'mysql://u@h' }, firehose: { stream: 's' } });
    const random = seededRandom(SEED);
    const passes = Math.ceil(MUTATIONS / events.length / 2);
    let lines = 0;
    let rejected = 0;

    /** Decodes the events from `first` to `target`, with the damaged event instead of the event `target`. */
    const attempt = (
      first: number,
      target: number,
      damaged: Buffer,
    ): { ms: number; written: number; invalidJson: string } => {
      const out = new ByteWriter(4096);
      let written = 0;
      let invalidJson = '';
      const format = { format: 'debezium', name: 'fuzz', epoch: 0, flatPrefix: '_', values, charsets } as const;
      const reader = new BinlogDecoder<EventWriter>(
        {
          ...IGNORE_EVENTS,
          tableMap: ({ schema, name, columns, primaryKey }) =>
            new EventWriter({ schema, name, columns, key: primaryKey }, format, out),
          rows: (writer, rows, transaction) =>
            writer.write(rows, transaction, 0, ({ bytes, from, to }) => {
              lines++;
              written += to - from;
              // Each line is complete JSON, even if its values are damaged.
              if (to - from < 100_000 && !isJson(bytes.toString('utf8', from, to)))
                invalidJson = bytes.toString('utf8', from, to);
            }),
        },
        (bytes, collation) => decodeText(bytes, charsetOf(collation, charsets)),
        false,
      );
      const begin = performance.now();
      try {
        for (let i = first; i <= target; i++) {
          const event = i === target ? damaged : (events[i] as Buffer);
          for (const _ of reader.read(event, 0, event.length) ?? []);
        }
      } catch (error) {
        rejected++;
        if (!(error instanceof CdcError)) throw error;
      }
      return { ms: performance.now() - begin, written, invalidJson };
    };

    for (let pass = 0; pass < passes; pass++) {
      for (const [target, original] of events.entries()) {
        // Decoding starts with the first event of the transaction.
        let first = target;
        while (first > 0 && !GTID_EVENT_TYPES.includes(events[first]?.[4] as number)) first--;
        const damaged = mutateEvent(original, random);
        const what = `seed ${SEED}, pass ${pass}, event ${target} of type ${original[4]}: ${damaged.toString('hex')}`;
        const { ms, written, invalidJson } = attempt(first, target, damaged);
        if (invalidJson !== '') expect.unreachable(`not JSON: ${invalidJson}\n${what}`);
        if (written > OUTPUT_BYTES_MAX) expect(written, what).toBeLessThan(OUTPUT_BYTES_MAX);
        // A busy machine can delay one run, but a hang occurs again.
        if (ms > DECODE_MS_MAX) {
          const again = [1, 2, 3].map(() => attempt(first, target, damaged).ms);
          expect(Math.min(...again), what).toBeLessThan(DECODE_MS_MAX);
        }
      }
    }
    expect(rejected, 'most damage is detected').toBeGreaterThan(0);
    expect(lines, 'some damage gives a valid value').toBeGreaterThan(0);
  },
  Math.max(60_000, MUTATIONS),
);
