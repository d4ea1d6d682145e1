import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** The parts of an event line in the format of the contract. */
export interface EventParts {
  op: 'c' | 'u' | 'd' | 'r' | 't';
  seq: number | string;
  /** JSON texts, so that a test controls every digit. */
  key?: string | null;
  row?: string | null;
  schema?: string;
  table?: string;
  partial?: boolean;
  sentAt?: number;
}

export const seqText = (seq: number | string): string =>
  typeof seq === 'string' ? seq : String(seq).padStart(12, '0');

export function debeziumLine(parts: EventParts): string {
  const { op, key = null, row = null, schema = 'shop', table = 'users' } = parts;
  const [before, after] = op === 'd' ? [row, null] : [null, row];
  const source =
    `{"connector":"mysql","name":"shop","db":${JSON.stringify(schema)},"table":${JSON.stringify(table)},"server_id":1,` +
    `"gtid":"00000000-0000-0000-0000-000000000001:7","file":"binlog.000001","pos":4,"row":0,"ts_ms":1700000000000,"snapshot":"false"}`;
  const partial = parts.partial ? '"partial":true,' : '';
  return `{"op":"${op}","before":${before},"after":${after},"key":${key},"seq":"${seqText(parts.seq)}",${partial}"source":${source},"ts_ms":${parts.sentAt ?? 1700000000050}}`;
}

export function flatLine(parts: EventParts): string {
  const { op, schema = 'shop', table = 'users', row } = parts;
  const meta =
    `"_op":"${op}","_seq":"${seqText(parts.seq)}","_deleted":${op === 'd'},"_ts_ms":${parts.sentAt ?? 1700000000050},` +
    `"_db":${JSON.stringify(schema)},"_table":${JSON.stringify(table)}`;
  return row && row !== '{}' ? `${row.slice(0, -1)},${meta}}` : `{${meta}}`;
}

/** Writes each group of lines to its own object, gzips every second object, and returns their paths. */
export function writeObjects(...groups: string[][]): { directory: string; objects: string[]; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-lake-'));
  const objects = groups.map((lines, i) => {
    const text = lines.map((line) => `${line}\n`).join('');
    const path = join(directory, `stream-1-2026-01-01-00-00-0${i}${i % 2 ? '.gz' : ''}`);
    writeFileSync(path, i % 2 ? gzipSync(text) : text);
    return path;
  });
  return { directory, objects, remove: () => rmSync(directory, { recursive: true }) };
}
