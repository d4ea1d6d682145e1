import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { seededRandom } from '../../src/local/demo/random.ts';
import { formatSeq } from '../../src/model/seq.ts';

/** The table of the events. */
export const ORDERS_DDL = `CREATE TABLE bench.orders (id BIGINT PRIMARY KEY, customer_id INT NOT NULL,
  status ENUM('new','paid','shipped','cancelled') NOT NULL, total DECIMAL(12,2) NOT NULL, note VARCHAR(120),
  weight DOUBLE, placed_at DATETIME(3) NOT NULL, updated_at TIMESTAMP NULL)`;

const STATUS = ['new', 'paid', 'shipped', 'cancelled'] as const;
const DELETES = 0.1;
const EPOCH = 1_795_369_086;

export interface LakeSize {
  events: number;
  /** Of the events, uncompressed, as in the buffer of a stream. */
  objectBytes: number;
}

/**
 * Writes objects of events as format debezium has them: each event inserts, updates or deletes a random key, and every
 * second object is gzip. It remembers what the table must have afterwards.
 */
export class MergeLake {
  readonly directory: string;
  bytes = 0;
  /** What the objects have on disk. */
  storedBytes = 0;
  objects = 0;
  readonly #random = seededRandom(1);
  /** In cents, by key; -1 where there is no row. */
  readonly #totals: Int32Array;
  #events = 0;

  constructor(directory: string, keys: number) {
    this.directory = directory;
    this.#totals = new Int32Array(keys).fill(-1);
  }

  /** The rows of the table, and the sum of their totals in cents. */
  expected(): { rows: number; sum: number } {
    let [rows, sum] = [0, 0];
    for (const total of this.#totals) {
      if (total < 0) continue;
      rows++;
      sum += total;
    }
    return { rows, sum };
  }

  async write({ events, objectBytes }: LakeSize): Promise<void> {
    const chunkLines = 500;
    let chunks: Buffer[] = [];
    let bytes = 0;
    const saving: Promise<void>[] = [];
    for (let made = 0; made < events; ) {
      let text = '';
      for (const end = Math.min(events, made + chunkLines); made < end; made++) text += this.#event();
      const chunk = Buffer.from(text, 'latin1');
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes < objectBytes && made < events) continue;
      saving.push(this.#save(chunks));
      if (saving.length > 2) await saving.shift();
      chunks = [];
      bytes = 0;
    }
    await Promise.all(saving);
  }

  async #save(chunks: Buffer[]): Promise<void> {
    const number = ++this.objects;
    const hour = String(Math.floor(number / 1_000)).padStart(2, '0');
    const name = `2026/11/27/${hour}/bench-1-2026-11-27-${hour}-${String(number).padStart(6, '0')}`;
    const isGzip = number % 2 === 1;
    const plain = Buffer.concat(chunks);
    const body = isGzip ? await promisify(gzip)(plain, { level: 1 }) : plain;
    const path = join(this.directory, isGzip ? `${name}.gz` : name);
    mkdirSync(dirname(path), { recursive: true });
    await writeFile(path, body);
    this.bytes += plain.length;
    this.storedBytes += body.length;
  }

  #event(): string {
    const random = this.#random;
    const n = this.#events++;
    const id = random.below(this.#totals.length);
    const before = this.#totals[id] as number;
    const isGone = before >= 0 && random.chance(DELETES);
    const after = isGone ? -1 : random.below(10_000_000);
    this.#totals[id] = after;
    const op = before < 0 ? 'c' : isGone ? 'd' : 'u';
    const position = 1_308 + n * 97;
    const seq = formatSeq({ epoch: EPOCH, file: 2, position, ordinal: 31 });
    const at = EPOCH * 1000 + n;
    return `{"op":"${op}","before":${row(id, before, n)},"after":${row(id, after, n)},"key":{"id":${id}},"seq":"${seq}","source":{"connector":"mysql","name":"bench","db":"bench","table":"orders","server_id":1,"gtid":"33ba598e-e69a-11f1-82eb-02fc00000001:${n}","file":"binlog.000002","pos":${position},"row":0,"ts_ms":${at},"snapshot":"false"},"ts_ms":${at + 1}}\n`;
  }
}

function row(id: number, total: number, n: number): string {
  if (total < 0) return 'null';
  const second = String(n % 60).padStart(2, '0');
  const minute = String(Math.floor(n / 60) % 60).padStart(2, '0');
  const cents = String(total % 100).padStart(2, '0');
  return `{"id":${id},"customer_id":${(id * 7) % 100_000},"status":"${STATUS[total % 4]}","total":"${Math.floor(total / 100)}.${cents}","note":"Order ${id}","weight":${total / 8},"placed_at":"2026-01-02T03:${minute}:${second}.678","updated_at":"2026-01-02T03:04:${second}Z"}`;
}
