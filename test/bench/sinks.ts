import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { kafkaAvailability } from '../kafka/artifacts.ts';
import { copyJavaSource } from '../kafka/compiled-copy.ts';
import { startKafka } from '../kafka/kafka-server.ts';
import { startLocalKinesis } from '../kinesis/local-kinesis.ts';
import { fill } from './capture.ts';
import { end, resourceUsage, startDaemon, startFirehose } from './processes.ts';
import { ORDERS } from './shapes.ts';
import { pagesWritten, removeObjects } from './whole-path.ts';

const ROWS = 300_000;
const SHARDS = 8;
const PARTITIONS = 12;

/** A transport to send to: its section of cdc.yaml, and how it ends. */
interface Receiver {
  section: string;
  close(): Promise<void>;
}

const RECEIVERS: [name: string, start: (directory: string) => Promise<Receiver>][] = [
  ['Firehose (cdc firehose)', startFirehoseReceiver],
  ['Kinesis (kinesalite, 8 shards), one event a record', () => startKinesisReceiver('aggregate: off')],
  ['Kinesis (kinesalite, 8 shards), aggregated', () => startKinesisReceiver('aggregate: {}')],
  ['Kafka (1 broker, 12 partitions), snappy', () => startKafkaReceiver('compression: snappy')],
  ['Kafka (1 broker, 12 partitions), without compression', () => startKafkaReceiver('compression: none')],
];

/**
 * The same changes to each transport, one after the other: from the binlog of a real MySQL to the acknowledgement of a
 * local server, until the checkpoint on disk has reached the end.
 */
export async function sinks(server: LocalServer, directory: string, { rows = ROWS }: { rows?: number }): Promise<void> {
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  const { end: start } = await readServerInfo(connection);
  const client = await createConnection({ ...connection, multipleStatements: true });
  await fill(client, { ...ORDERS, rows });
  await pagesWritten(client);
  client.destroy();
  const { end: binlogEnd } = await readServerInfo(connection);
  copyJavaSource();
  const unavailable = await kafkaAvailability();
  console.log('| transport | events | seconds | events/s | CPU of the daemon, µs/event | its peak RSS, MB |');
  console.log('| --- | ---: | ---: | ---: | ---: | ---: |');
  for (const [i, [name, open]] of RECEIVERS.entries()) {
    if (name.startsWith('Kafka') && unavailable !== undefined) {
      console.log(`| ${name} | not run: ${unavailable} | | | | |`);
      continue;
    }
    const own = join(directory, `sink-${i}`);
    mkdirSync(own);
    const { section, close } = await open(own);
    const place = `${start.file}:${start.position}`;
    const daemon = await startDaemon({
      ...{ directory: own, mysqlPort: server.port, endpoint: '', start: place, section },
    });
    const before = resourceUsage(daemon.child).cpuSeconds;
    const seconds = ((await daemon.reached(binlogEnd, 900_000)) - daemon.followsSince) / 1000;
    const { cpuSeconds, peakMB } = resourceUsage(daemon.child);
    await daemon.stop();
    await close();
    rmSync(own, { recursive: true });
    const cells = [
      ...[name, rows.toLocaleString('en'), seconds.toFixed(2), Math.round(rows / seconds).toLocaleString('en')],
      ...[(((cpuSeconds - before) / rows) * 1e6).toFixed(2), Math.round(peakMB)],
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  console.log(
    '\nkinesalite runs in the process of the benchmark, on one core, and writes each record on its own: it is the limit ' +
      'of the rows of Kinesis, not cdc.',
  );
}

async function startFirehoseReceiver(directory: string): Promise<Receiver> {
  const lake = join(directory, 'lake');
  const { child, endpoint } = await startFirehose(lake, '--buffer-seconds', '1');
  const cleaner = setInterval(() => removeObjects(lake), 300);
  return {
    section: `firehose: { stream: bench, endpoint: "${endpoint}" }`,
    async close() {
      clearInterval(cleaner);
      await end(child);
    },
  };
}

async function startKinesisReceiver(keys: string): Promise<Receiver> {
  const kinesis = await startLocalKinesis(undefined, { onPut: () => {} });
  await kinesis.createStream('bench', SHARDS);
  return {
    section: `kinesis: { stream: bench, endpoint: "${kinesis.endpoint}", quota: "off", ${keys} }`,
    close: () => kinesis.close(),
  };
}

async function startKafkaReceiver(keys: string): Promise<Receiver> {
  const kafka = await startKafka({ brokers: 1 });
  const topics = `create_topics: { partitions: ${PARTITIONS} }`;
  return {
    section: `kafka: { brokers: ${JSON.stringify(kafka.bootstrap)}, ${topics}, ${keys} }`,
    close: () => kafka.close(),
  };
}
