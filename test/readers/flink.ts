import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KafkaServer } from '../kafka/kafka-server.ts';
import { startJava } from '../peers/java.ts';
import { flinkRow } from './orders.ts';

/** A job of config/readers, at work on a Kafka of this machine. */
export class FlinkJob {
  readonly name: string;
  readonly #kafka: KafkaServer;
  readonly #process: ChildProcess;
  readonly #table: string;
  #output = '';
  #log = '';

  /** @param name of the file of SQL, without its ending */
  constructor(directory: string, name: string, kafka: KafkaServer) {
    this.name = name;
    this.#kafka = kafka;
    const sql = readFileSync(join('config/readers', `${name}.sql`), 'utf8');
    this.#table = sinkTopic(sql);
    mkdirSync(directory, { recursive: true });
    const file = join(directory, `${name}.sql`);
    writeFileSync(file, sql.replaceAll('localhost:9092', kafka.bootstrap.join(',')));
    const child = startJava('../readers/flink/RunSql.java', file);
    this.#process = child;
    child.stdout.on('data', (bytes) => (this.#output += bytes));
    child.stderr.on('data', (bytes) => (this.#log += bytes));
    process.once('exit', () => child.kill('SIGKILL'));
  }

  get version(): string {
    return /^version (.*)$/m.exec(this.#output)?.[1] ?? 'unknown';
  }

  /** Why the job has failed; undefined while it runs. */
  get failure(): string | undefined {
    const message = /^error (.*)$/m.exec(this.#output)?.[1];
    if (message !== undefined) return message;
    return this.#process.exitCode === null ? undefined : `ended with ${this.#process.exitCode}\n${this.#log}`;
  }

  /** The rows of its table now: the last value of each key of a compacted topic. */
  async rows(): Promise<string[]> {
    const rows = new Map<string, string | null>();
    for (const { key, value } of await this.#kafka.readTopic(this.#table)) {
      rows.set(String(key), value === null ? null : String(value));
    }
    return [...rows.values()].flatMap((value) => (value === null ? [] : [flinkRow(value)])).sort();
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

/** The topic that the job writes, which must exist before it. */
export const sinkTopic = (sql: string): string =>
  /'connector' = 'upsert-kafka',\s*'topic' = '([^']+)'/.exec(sql)?.[1] ?? '';
