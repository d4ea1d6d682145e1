import { mkdirSync, mkdtempSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openFolder } from '../../../src/lake/folder-store.ts';
import type { LakeStore } from '../../../src/lake/object-store.ts';
import { newSuspect, rowHash, type Suspect } from '../../../src/verify/compare/suspects.ts';
import { rowIdOf } from '../../../src/verify/lake/lake-record.ts';
import { LakeScan } from '../../../src/verify/lake/lake-scan.ts';
import { Partitions } from '../../../src/verify/lake/partitions.ts';
import { KeyHasher } from '../../../src/verify/lake/row-key.ts';
import { Settlement, type SettlementContext } from '../../../src/verify/settlement.ts';
import { packValues } from '../../../src/verify/source/source-row.ts';
import { emptyResult } from '../../../src/verify/table-result.ts';
import { debeziumLine } from '../lake/event-lines.ts';
import { comparedColumn, comparedTable, DEFAULT_VALUES, declared } from './compared-table.ts';

const root = mkdtempSync(join(tmpdir(), 'cdc-settlement-'));
afterAll(() => rmSync(root, { recursive: true }));

const TABLE = comparedTable(comparedColumn(declared('id', 'int')), comparedColumn(declared('v', 'varchar(9)')));
const seq = (n: number): string => n.toString(16).padStart(36, '0');
const signal = new AbortController().signal;
let lakes = 0;

/**
 * Looks at row 1, of which the source has the value `a`, and the lake this JSON.
 * @param onRead called before an object is read, with how many were read before it
 */
async function settle(lakeJson: string, onRead: (reads: number, path: string) => void) {
  const lake = join(root, `${++lakes}`);
  mkdirSync(lake);
  const path = join(lake, 'object');
  const line = { op: 'c', seq: seq(1), key: '{"id":1}', row: `{"id":1,"v":${lakeJson}}`, table: 'orders' } as const;
  writeFileSync(path, `${debeziumLine(line)}\n`);
  const folder = await openFolder(lake);
  let reads = 0;
  const store: LakeStore = {
    ...folder,
    read(object, end) {
      onRead(reads++, path);
      return folder.read(object, end);
    },
  };
  const records = new Partitions(join(root, `records-${lakes}`));
  const scan = new LakeScan({
    ...{ store, format: 'debezium', flatPrefix: '_', tables: [TABLE], records, withPayload: false, signal },
    ...{ pipeline: 'shop', isCaptured: () => true },
  });
  await scan.update();
  const result = emptyResult('shop', 'orders');
  const position = { file: 'binlog.000001', position: 4 };
  const reread = {
    async read(suspects: ReadonlyMap<string, Suspect>) {
      for (const suspect of suspects.values()) {
        const source = packValues([Buffer.from('1'), Buffer.from('a')]);
        Object.assign(suspect, { from: seq(5), to: seq(9), source, sourceRow: rowHash(TABLE, ['1', '"a"']) });
      }
      return position;
    },
  };
  const context = {
    ...{ config: { format: 'debezium', flat_prefix: '_', values: DEFAULT_VALUES }, tables: [TABLE], results: [result] },
    ...{ reread, scan, lake: records, landing: { delivers: async () => 0, bufferMs: 0 }, signal, onProgress() {} },
  } as unknown as SettlementContext;
  const id = rowIdOf(0, new KeyHasher(['id']).ofValues(['1']));
  await new Settlement(context, { repair: false, differencesMax: 10 }).settle(
    new Map([[id, newSuspect(id, '{"id":1}')]]),
  );
  records.close();
  return result.differences.map(({ kind, columns }) => [kind, ...columns.map(({ name }) => name)].join(' '));
}

/** The row is equal once its values are read: their text is another one. */
const EQUAL = '"\\u0061"';

test('a row in another spelling is equal, and one with another value differs', async () => {
  expect(await settle(EQUAL, () => {})).toEqual([]);
  expect(await settle('"b"', () => {})).toEqual(['different v']);
});

test('an object that is replaced while its values are looked up is read again: no row is missing', async () => {
  const replace = (reads: number, path: string): void => {
    if (reads === 1) utimesSync(path, 1_000_000_000, 1_000_000_000);
  };
  expect(await settle(EQUAL, replace)).toEqual([]);
  expect(await settle('"b"', replace)).toEqual(['different v']);
});

test('a row whose only object is removed meanwhile is missing', async () => {
  expect(await settle(EQUAL, (reads, path) => void (reads === 1 && unlinkSync(path)))).toEqual(['missing']);
});
