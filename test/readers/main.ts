import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Producer } from '@platformatic/kafka';
import { type Connection, createConnection } from 'mysql2/promise';
import { seededRandom } from '../../src/local/demo/random.ts';
import { startLocalServer } from '../../src/local/mysql/server.ts';
import { KAFKA_VERSION, kafkaAvailability } from '../kafka/artifacts.ts';
import { type KafkaServer, startKafka } from '../kafka/kafka-server.ts';
import { missingMaven } from '../peers/java.ts';
import { Daemon, TOPIC } from './daemon.ts';
import { FlinkJob, sinkTopic } from './flink.ts';
import { CREATE_ORDERS, changeOrders, sourceRows } from './orders.ts';
import { missingPyspark, pysparkVersion, SparkJob } from './spark.ts';

/** The row whose old event comes again at the end of the topic. */
const PROBE = 1;
/** They only end what hangs: two engines and a broker share this machine. */
const LIMIT_MS = 300_000;

/** `npm run readers`: whether the jobs of config/readers keep a table equal to MySQL, as docs/READERS.md says. */
async function main(): Promise<void> {
  // The broker's tool is compiled from its source, which lies beside the module.
  const tool = join(import.meta.dirname, '../kafka/KafkaTool.java');
  if (!existsSync(tool)) copyFileSync('test/kafka/KafkaTool.java', tool);
  const java = missingMaven() ?? (await kafkaAvailability());
  const missing = { flink: java, spark: java ?? missingPyspark() };
  for (const [name, reason] of Object.entries(missing)) {
    if (reason !== undefined) console.log(`${name} does not run here: ${reason}`);
  }
  if (missing.flink !== undefined) return;
  const directory = mkdtempSync(join(tmpdir(), 'cdc-readers-'));
  const server = await startLocalServer({ flavor: 'mysql' });
  const connection = await createConnection({ uri: server.url, charset: 'utf8mb4' });
  let kafka: KafkaServer | undefined;
  try {
    kafka = await startKafka();
    const javaVersion = /version "([^"]+)"/.exec(spawnSync('java', ['-version'], { encoding: 'utf8' }).stderr)?.[1];
    console.log(`MySQL ${server.version}, Kafka ${KAFKA_VERSION}, Java ${javaVersion}, Node ${process.version}`);
    await checkReaders({ directory, url: server.url, connection, kafka, withSpark: missing.spark === undefined });
  } finally {
    connection.destroy();
    await kafka?.close();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Bed {
  directory: string;
  url: string;
  connection: Connection;
  kafka: KafkaServer;
  withSpark: boolean;
}

async function checkReaders({ directory, url, connection, kafka, withSpark }: Bed): Promise<void> {
  const random = seededRandom(7);
  await connection.query('CREATE DATABASE shop');
  await connection.query(CREATE_ORDERS);
  await connection.query("SET time_zone = '+00:00'");
  await kafka.createTopic(TOPIC, 2);
  const daemon = new Daemon(directory, url, kafka.bootstrap);
  const jobs = ['flink_table', 'flink_changelog'].map((name) => {
    const sql = readFileSync(join('config/readers', `${name}.sql`), 'utf8');
    return { name, topic: sinkTopic(sql) };
  });
  for (const { topic } of jobs) await kafka.createTopic(topic, 2, { 'cleanup.policy': 'compact' });
  const started: FlinkJob[] = [];
  const spark = withSpark ? new SparkJob(join(directory, 'spark'), kafka.bootstrap.join(','), TOPIC) : undefined;
  try {
    await daemon.start();
    await changeOrders(connection, random, 50);
    await until(async () => (await kafka.readTopic(TOPIC)).length > 20, 'no events in the topic');
    daemon.keepCheckpoint();
    await changeOrders(connection, random, 100);
    for (const { name } of jobs) started.push(new FlinkJob(join(directory, name), name, kafka));
    const [table, changelog] = started as [FlinkJob, FlinkJob];
    spark?.start();
    await changeOrders(connection, random, 150);
    await daemon.rewind(() => changeOrders(connection, random, 50));
    await changeOrders(connection, random, 100);
    await changeProbe(connection);
    const rows = await sourceRows(connection);
    for (const job of [table, changelog]) await expectEqual(job, rows);
    console.log(`Flink ${table.version}`);
    report('flink_table, flink_changelog: after a crash and its repeats', rows);

    await repeatProbe(kafka);
    await expectOther(changelog, rows);
    await expectEqual(table, rows);
    report('flink_table: after an old event that comes last, which flink_changelog takes for the newest', rows);

    await until(() => spark?.hasMerged ?? true, 'spark_table merges nothing');
    await spark?.kill();
    await connection.query('TRUNCATE TABLE shop.orders');
    await changeOrders(connection, random, 150);
    await changeProbe(connection);
    const last = await sourceRows(connection);
    await expectEqual(table, last);
    report('flink_table: after a TRUNCATE', last);
    await until(() => changelog.failure !== undefined, 'flink_changelog does not end at a TRUNCATE');
    console.log(`  flink_changelog ends at a TRUNCATE: ${changelog.failure?.slice(0, 80)}`);
    if (!changelog.failure?.startsWith('Unknown "op" value "t"')) throw new Error('it ended for another reason');

    await spark?.finish();
    await repeatProbe(kafka);
    await spark?.finish();
    const found = await spark?.rows(currentRows());
    if (found !== undefined) {
      compare('spark_table', found, last);
      console.log(`Spark ${pysparkVersion()}`);
      report('spark_table: after a kill, a TRUNCATE, and an old event that comes last', last);
    }
    await describeTopic(kafka);
  } finally {
    for (const job of started) job.kill();
    await spark?.kill();
    await daemon.kill();
  }
}

async function changeProbe(connection: Connection): Promise<void> {
  await connection.query(`INSERT INTO shop.orders (id, customer, status, note) VALUES (${PROBE}, 'p', 'new', 'old')`);
  await connection.query(`UPDATE shop.orders SET note = 'newer' WHERE id = ${PROBE}`);
}

/** The first event of the probe comes again after its second one, as when cdc is killed while it repeats. */
async function repeatProbe(kafka: KafkaServer): Promise<void> {
  const old = (await kafka.readTopic(TOPIC)).findLast(
    ({ value }) => value?.includes('"op":"c"') && value.includes('"note":"old"'),
  );
  if (!old?.key || !old.value) throw new Error('the topic has no event of the probe');
  const producer = new Producer({ clientId: 'repeat', bootstrapBrokers: kafka.bootstrap, acks: -1 });
  const { partition, key, value } = old;
  await producer.send({ messages: [{ topic: TOPIC, partition, key, value }] });
  await producer.close();
}

/** What docs/READERS.md selects. */
function currentRows(): string {
  const [, sql] = /^```sql\n(SELECT[\s\S]*?)^```/m.exec(readFileSync('docs/READERS.md', 'utf8')) ?? [];
  if (sql === undefined) throw new Error('docs/READERS.md has no query');
  return sql.trim().replace(/;$/, '');
}

async function describeTopic(kafka: KafkaServer): Promise<void> {
  const records = await kafka.readTopic(TOPIC);
  const values = records.flatMap(({ value }) => (value === null ? [] : [String(value)]));
  const seqs = new Set(values.map((value) => /"seq":"(\w+)"/.exec(value)?.[1]));
  const repeats = values.length - seqs.size;
  if (repeats < 100) throw new Error(`only ${repeats} repeats prove nothing`);
  const tombstones = records.length - values.length;
  console.log(`  the topic has ${values.length} events, ${repeats} of them repeats, and ${tombstones} tombstones`);
}

async function until(condition: () => boolean | Promise<boolean>, otherwise: string): Promise<void> {
  const deadline = Date.now() + LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(otherwise);
    await new Promise((done) => setTimeout(done, 500));
  }
}

async function expectEqual(job: FlinkJob, wanted: string[]): Promise<void> {
  let rows: string[] = [];
  const isEqual = async (): Promise<boolean> => {
    if (job.failure !== undefined) throw new Error(`${job.name} has failed: ${job.failure}`);
    rows = await job.rows();
    return rows.join('\n') === wanted.join('\n');
  };
  await until(isEqual, 'late').catch((error: Error) => {
    if (error.message !== 'late') throw error;
    compare(job.name, rows, wanted);
  });
}

async function expectOther(job: FlinkJob, rows: string[]): Promise<void> {
  const wanted = rows.join('\n').replace('"newer"', '"old"');
  await until(async () => (await job.rows()).join('\n') === wanted, `${job.name} did not take the old event`);
}

function compare(name: string, found: string[], wanted: string[]): void {
  const only = (rows: string[], others: string[]) => rows.filter((row) => !others.includes(row));
  const [missing, extra] = [only(wanted, found), only(found, wanted)];
  if (missing.length === 0 && extra.length === 0 && found.length === wanted.length) return;
  const short = (rows: string[]) => rows.slice(0, 4).map((row) => row.replaceAll(/(ä)\1{9,}/g, '$1…'));
  throw new Error(
    `${name} has ${found.length} rows, MySQL ${wanted.length}\n  only MySQL\n    ${short(missing).join('\n    ')}\n` +
      `  only ${name}\n    ${short(extra).join('\n    ')}`,
  );
}

const report = (what: string, rows: string[]) => console.log(`  ${what}: ${rows.length} rows equal MySQL`);

await main().catch((error: Error) => {
  process.exitCode = 1;
  console.error(error.stack);
});
// Flink and the broker are processes of their own.
process.exit();
