import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByteWriter } from '../../src/codec/bytes/byte-writer.ts';
import { charsetOf, decodeText } from '../../src/codec/charset/charset.ts';
import { EventWriter } from '../../src/codec/event-writer.ts';
import type { EventFormatOptions } from '../../src/codec/formats/event-format.ts';
import { configSchema } from '../../src/config/schema.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import type { EncodedEvent } from '../../src/model/encoded-event.ts';
import { GtidSet } from '../../src/model/gtid-set.ts';
import { ReplicationPosition } from '../../src/model/replication-position.ts';
import { FirehoseSink } from '../../src/sinks/firehose/firehose-sink.ts';
import { BinlogDecoder } from '../../src/source/binlog/binlog-decoder.ts';
import { IGNORE_EVENTS } from '../../src/source/binlog/ignore-events.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { type Captured, capture } from './capture.ts';
import { end, startFirehose } from './processes.ts';
import { ONE_ROW, ORDERS } from './shapes.ts';
import { zongjiSpeed } from './zongji-decode.ts';

const { values } = configSchema.parse({ source: { url: 'mysql://u@h' }, firehose: { stream: 's' } });
const ROUNDS = 7;
/** Packets that are decoded between two turns of the event loop, as after one read of a socket. */
const PACKETS_AT_ONCE = 500;

/**
 * Measures the daemon's own part of the data flow: binlog packets from memory through decoder, codec, delivery and the
 * AWS SDK to acknowledgements of the local Firehose in another process. It leaves out MySQL, which would use one of the
 * two cores, and the connection to it.
 */
export async function replay(server: LocalServer, directory: string): Promise<void> {
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  const { charsets } = await readServerInfo(connection);
  console.log('| | rows | rows/s | zongji + JSON.stringify, rows/s | ratio |');
  console.log('| --- | ---: | ---: | ---: | ---: |');
  for (const [i, shape] of [ORDERS, { ...ONE_ROW, rows: 100_000 }].entries()) {
    const captured = await capture(connection, shape);
    const zongji = await zongjiSpeed(connection, captured, shape.rows);
    const firehose = await startFirehose(join(directory, `lake-${i}`));
    const speeds: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const sink = new FirehoseSink({ stream: 'bench', region: undefined, endpoint: firehose.endpoint });
      const begin = process.hrtime.bigint();
      await pass(captured, sink, charsets);
      const speed = (shape.rows / Number(process.hrtime.bigint() - begin)) * 1e9;
      // The first round is for warming up.
      if (round > 0) speeds.push(speed);
      sink.close();
    }
    await end(firehose.child);
    const speed = speeds.sort((a, b) => a - b)[ROUNDS >> 1] as number;
    const cells = [shape.name, shape.rows, Math.round(speed), Math.round(zongji)].map((cell) =>
      cell.toLocaleString('en'),
    );
    console.log(`| ${cells.join(' | ')} | ${(speed / zongji).toFixed(2)} |`);
  }
}

async function pass(
  { packets, checksum }: Captured,
  sink: FirehoseSink,
  charsets: EventFormatOptions['charsets'],
): Promise<void> {
  const out = new ByteWriter();
  const format: EventFormatOptions = { format: 'debezium', name: 'bench', epoch: 0, flatPrefix: '_', values, charsets };
  let paused = false;
  let failure: unknown;
  const delivery = new Delivery({
    targets: [{ name: 'bench', sink, aggregation: { maxEvents: 500, maxBytes: 512 * 1024 }, lingerMs: 100 }],
    start: new ReplicationPosition(new GtidSet(), { file: 'binlog.000001', position: 4 }),
    deadLetter: async () => {},
    onBackpressure: (now) => {
      paused = now;
    },
    onDelivered() {},
    onFatal: (error) => {
      failure = error;
    },
  });
  const emit = (event: EncodedEvent): void => delivery.append(0, event);
  const reader = new BinlogDecoder<EventWriter>(
    {
      ...IGNORE_EVENTS,
      tableMap: ({ schema, name, columns, primaryKey }) =>
        new EventWriter({ schema, name, columns, key: primaryKey }, format, out),
      rows: (writer, rows, transaction) => writer.write(rows, transaction, Date.now(), emit),
      commit: (transaction) => delivery.commit(transaction),
    },
    (text, collation) => decodeText(text, charsetOf(collation, charsets)),
    checksum,
  );
  for (const [i, packet] of packets.entries()) {
    reader.read(packet, 1, packet.length);
    if (i % PACKETS_AT_ONCE === 0) await new Promise(setImmediate);
    while (paused) await sleep(1);
  }
  await delivery.drain();
  delivery.stop();
  if (failure !== undefined) throw failure;
}
