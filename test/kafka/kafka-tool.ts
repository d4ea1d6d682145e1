import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { KafkaArtifacts } from './artifacts.ts';
import { spawnJava } from './spawn-java.ts';

/** A record as the topic has it. */
export interface StoredRecord {
  topic: string;
  partition: number;
  offset: number;
  /** Milliseconds since 1970. */
  timestamp: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: { name: string; value: Buffer | null }[];
}

interface Waiting {
  records: Buffer[];
  resolve: (answer: { json: Record<string, unknown>; records: Buffer[] }) => void;
  reject: (error: Error) => void;
}

/** Apache's own client of Kafka in a process: it answers one request after the other. */
export class KafkaTool {
  readonly #process: ChildProcess;
  readonly #waiting: Waiting[] = [];
  #received: Buffer[] = [];
  #bytes = 0;
  #ended: Error | undefined;

  constructor(artifacts: KafkaArtifacts, bootstrap: string) {
    const { child, log } = spawnJava(artifacts, ['-Xmx384m', 'KafkaTool', bootstrap], 'pipe');
    this.#process = child;
    child.stdout?.on('data', (bytes: Buffer) => this.#receive(bytes));
    child.stdin?.on('error', () => {});
    child.once('close', () => {
      this.#ended = new Error(`the tool of the tests has ended\n${log()}`);
      for (const each of this.#waiting.splice(0)) each.reject(this.#ended);
    });
  }

  async request(command: string, fields: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    return (await this.#ask({ command, ...fields })).json;
  }

  async read(topic: string): Promise<StoredRecord[]> {
    const { records } = await this.#ask({ command: 'read', topic });
    return records.flatMap((bytes) => decodeRecords(bytes));
  }

  async readNew(prefix: string, offsets: ReadonlyMap<string, number>): Promise<StoredRecord[]> {
    const { records } = await this.#ask({ command: 'readNew', prefix, offsets: Object.fromEntries(offsets) });
    return records.flatMap((bytes) => decodeRecords(bytes));
  }

  async close(): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const closed = once(this.#process, 'close');
    this.#process.kill('SIGKILL');
    await closed;
  }

  #ask(request: object): Promise<{ json: Record<string, unknown>; records: Buffer[] }> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#waiting.push({ records: [], resolve, reject });
      this.#process.stdin?.write(`${JSON.stringify(request)}\n`);
    });
  }

  #receive(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      if (this.#bytes < 5) return;
      if (this.#received.length > 1 && (this.#received[0] as Buffer).length < 5) this.#join();
      const length = 5 + (this.#received[0] as Buffer).readInt32BE(1);
      if (this.#bytes < length) return;
      const bytes = this.#join();
      this.#received = [bytes.subarray(length)];
      this.#bytes -= length;
      this.#frame(bytes.toString('latin1', 0, 1), bytes.subarray(5, length));
    }
  }

  #join(): Buffer {
    const bytes = Buffer.concat(this.#received);
    this.#received = [bytes];
    return bytes;
  }

  #frame(type: string, content: Buffer): void {
    const [waiting] = this.#waiting;
    if (!waiting) throw new Error(`an answer without a request: ${content.toString()}`);
    if (type === 'R') return void waiting.records.push(content);
    this.#waiting.shift();
    if (type === 'E') waiting.reject(new Error(content.toString()));
    else waiting.resolve({ json: JSON.parse(content.toString()), records: waiting.records });
  }
}

/** The format is that of KafkaTool.java. */
function decodeRecords(bytes: Buffer): StoredRecord[] {
  const records: StoredRecord[] = [];
  let at = 0;
  const int = () => bytes.readInt32BE((at += 4) - 4);
  const long = () => Number(bytes.readBigInt64BE((at += 8) - 8));
  const content = () => {
    const length = int();
    return length < 0 ? null : bytes.subarray(at, (at += length));
  };
  while (at < bytes.length) {
    const topic = String(content());
    const [partition, offset, timestamp, key, value] = [int(), long(), long(), content(), content()];
    const headers = Array.from({ length: int() }, () => ({ name: String(content()), value: content() }));
    records.push({ topic, partition, offset, timestamp, key, value, headers });
  }
  return records;
}
