import { ByteWriter } from '../../src/codec/bytes/byte-writer.ts';
import { charsetOf, decodeText } from '../../src/codec/charset/charset.ts';
import { EventWriter } from '../../src/codec/event-writer.ts';
import type { EventFormatOptions } from '../../src/codec/formats/event-format.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { BinlogDecoder } from '../../src/source/binlog/binlog-decoder.ts';
import { IGNORE_EVENTS } from '../../src/source/binlog/ignore-events.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { type Captured, capture } from './capture.ts';
import { SHAPES } from './shapes.ts';
import { zongjiDecoder } from './zongji-decode.ts';

/** The number of runs of each contender. The median counts. */
const ROUNDS = 7;

interface Contender {
  name: string;
  /** Decodes the captured binlog. Returns a number that depends on the output, so that no work is optimized away. */
  run(captured: Captured): number;
}

const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;

const { values } = configSchema.parse({ source: { url: 'mysql://u@h' }, firehose: { stream: 's' } });

/** Decodes the same captured binlog with cdc's codec and with zongji. */
export async function codec(server: LocalServer): Promise<void> {
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  const { charsets } = await readServerInfo(connection);
  const zongji = await zongjiContenders(connection);
  const contenders: Contender[] = [
    cdcContender('cdc codec, debezium', 'debezium', charsets),
    cdcContender('cdc codec, flat', 'flat', charsets),
    cdcContender('cdc codec, maxwell', 'maxwell', charsets),
    cdcContender('raw packets, checked and passed over', 'debezium', charsets, false),
    ...zongji.contenders,
  ];
  console.log(`Median of ${ROUNDS} rounds in turn.\n`);
  console.log('| shape | contender | rows/s | binlog MB/s | against zongji + JSON.stringify |');
  console.log('| --- | --- | ---: | ---: | ---: |');
  for (const shape of SHAPES) {
    const captured = await capture(connection, shape);
    const seconds = measure(contenders, captured);
    const base = seconds[contenders.length - 1] as number[];
    for (const [i, { name }] of contenders.entries()) {
      const own = seconds[i] as number[];
      const ratio = median(base.map((zongjiSeconds, round) => zongjiSeconds / (own[round] as number)));
      const rows = Math.round(shape.rows / median(own)).toLocaleString('en');
      const megabytes = (captured.bytes / 1e6 / median(own)).toFixed(0);
      console.log(`| ${shape.name} | ${name} | ${rows} | ${megabytes} | ${ratio.toFixed(2)} |`);
    }
  }
  zongji.close();
}

/** The seconds of each contender in each round. The contenders take turns in every round. */
function measure(contenders: readonly Contender[], captured: Captured): number[][] {
  const seconds = contenders.map(() => [] as number[]);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, contender] of contenders.entries()) {
      const begin = process.hrtime.bigint();
      if (contender.run(captured) === 0) throw new Error(`${contender.name} wrote nothing`);
      // The first round is for warming up.
      if (round > 0) seconds[i]?.push(Number(process.hrtime.bigint() - begin) / 1e9);
    }
  }
  return seconds;
}

function cdcContender(
  name: string,
  format: EventFormatOptions['format'],
  charsets: EventFormatOptions['charsets'],
  captured = true,
): Contender {
  return {
    name,
    run({ packets, checksum }) {
      let bytes = 0;
      const out = new ByteWriter();
      const options: EventFormatOptions = { format, name: 'bench', epoch: 0, flatPrefix: '_', values, charsets };
      const decoder = new BinlogDecoder<EventWriter>(
        {
          ...IGNORE_EVENTS,
          isCaptured: () => captured,
          tableMap: ({ schema, name, columns, primaryKey }) =>
            new EventWriter({ schema, name, columns, key: primaryKey }, options, out),
          rows: (writer, rows, transaction) =>
            writer.write(rows, transaction, 1_700_000_000_000, ({ from, to }) => {
              bytes += to - from;
            }),
        },
        (text, collation) => decodeText(text, charsetOf(collation, charsets)),
        checksum,
      );
      for (const packet of packets) decoder.read(packet, 1, packet.length);
      return bytes + packets.length;
    },
  };
}

/** zongji's decoder without and with JSON.stringify. */
async function zongjiContenders(connection: {
  host: string;
  port: number;
  user: string;
}): Promise<{ contenders: Contender[]; close(): void }> {
  let stringify = false;
  let output = 0;
  const zongji = await zongjiDecoder(connection, (event) => {
    if (event.rows === undefined) return;
    if (stringify) for (const row of event.rows) output += JSON.stringify(row).length;
    else output += event.rows.length;
  });
  const contender = (name: string, withJson: boolean): Contender => ({
    name,
    run(captured) {
      stringify = withJson;
      output = 0;
      zongji.decode(captured);
      return output;
    },
  });
  return {
    contenders: [contender('zongji decode', false), contender('zongji decode + JSON.stringify', true)],
    close: () => zongji.close(),
  };
}
