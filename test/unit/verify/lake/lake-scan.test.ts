import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFolder } from '../../../../src/lake/folder-store.ts';
import { type LakeStore, LostObject } from '../../../../src/lake/object-store.ts';
import { eventAt } from '../../../../src/verify/compare/history.ts';
import { nextAt, objectAt, placeAt } from '../../../../src/verify/lake/lake-record.ts';
import { LakeScan, type LakeScanOptions } from '../../../../src/verify/lake/lake-scan.ts';
import { PARTITIONS, Partitions } from '../../../../src/verify/lake/partitions.ts';
import { debeziumLine, type EventParts } from '../../lake/event-lines.ts';

const root = mkdtempSync(join(tmpdir(), 'cdc-lake-scan-'));
afterAll(() => rmSync(root, { recursive: true }));
let lake: string;
let records: Partitions;
let lakes = 0;
beforeEach(() => {
  lake = join(root, `${++lakes}`);
  mkdirSync(lake);
  records = new Partitions(join(root, `records-${lakes}`));
});
afterEach(() => records.close());

async function scanOf(more: Partial<LakeScanOptions> = {}): Promise<LakeScan> {
  return new LakeScan({
    ...{ store: await openFolder(lake), format: 'debezium', flatPrefix: '_', records, withPayload: false },
    ...{ pipeline: 'shop', isCaptured: (schema: string) => schema === 'shop', signal: new AbortController().signal },
    tables: [{ schema: 'shop', table: 'users', key: ['id'] }],
    ...more,
  });
}

const seq = (n: number): string => n.toString(16).padStart(36, '0');
/** The event of user `id` with this seq. */
const line = (n: number, id = n, more: Partial<EventParts> = {}): string =>
  debeziumLine({ op: 'c', seq: seq(n), key: `{"id":${id}}`, row: `{"id":${id},"v":"row ${n}"}`, ...more });
const put = (name: string, ...lines: string[]): void =>
  writeFileSync(join(lake, name), lines.map((text) => `${text}\n`).join(''));

interface Found {
  n: number;
  object: number;
  line: ReturnType<typeof placeAt>;
}
/** The events that count, by their seqs. */
function found(scan: LakeScan): Found[] {
  const events: Found[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const bytes = records.read(partition);
    for (let at = 0; at < bytes.length; at = nextAt(bytes, at)) {
      const object = objectAt(bytes, at);
      if (!scan.isLive(object)) continue;
      events.push({ n: Number.parseInt(eventAt(bytes, at).seq.slice(-6), 16), object, line: placeAt(bytes, at) });
    }
  }
  return events.sort((a, b) => a.n - b.n);
}
const seqs = (scan: LakeScan): number[] => found(scan).map(({ n }) => n);

describe('an update', () => {
  test('reads each object once, gzip or plain', async () => {
    put('a', line(1), line(2));
    writeFileSync(join(lake, 'b.gz'), gzipSync(`${line(3)}\n`));
    const scan = await scanOf();
    expect(await scan.update()).toBe(2);
    expect(await scan.update()).toBe(0);
    put('c', line(4));
    expect(await scan.update()).toBe(1);
    expect([seqs(scan), scan.objects, scan.events, scan.damage]).toEqual([[1, 2, 3, 4], 3, 4, []]);
  });

  test('reads an object again whose bytes have changed, and its old events no longer count', async () => {
    put('a', line(1), line(2));
    put('b', line(3));
    const scan = await scanOf();
    await scan.update();
    put('a', line(2), line(4), line(5));
    expect(await scan.update()).toBe(1);
    expect([seqs(scan), scan.objects, scan.events]).toEqual([[2, 3, 4, 5], 2, 4]);
  });

  test('reads an object again of which nothing but the time is another', async () => {
    put('a', line(1));
    const scan = await scanOf();
    await scan.update();
    utimesSync(join(lake, 'a'), 1_000_000_000, 1_000_000_000);
    expect(await scan.update()).toBe(1);
    expect([seqs(scan), scan.copies]).toEqual([[1], []]);
  });

  test('notices that an object is gone, and that it is there again', async () => {
    put('a', line(1));
    put('b', line(2));
    const scan = await scanOf();
    await scan.update();
    unlinkSync(join(lake, 'a'));
    await scan.update();
    expect([seqs(scan), scan.objects, scan.events]).toEqual([[2], 1, 1]);
    put('a', line(1));
    await scan.update();
    expect([seqs(scan), scan.objects, scan.events]).toEqual([[1, 2], 2, 2]);
  });

  test.each(['changed', 'gone'] as const)('lists again if an object is %s once it is read', async (loss) => {
    put('a', line(1));
    put('b', line(2));
    const folder = await openFolder(lake);
    let isLost = false;
    const store: LakeStore = {
      ...folder,
      read(object, signal) {
        if (isLost) return folder.read(object, signal);
        isLost = true;
        if (loss === 'changed') appendFileSync(join(lake, 'a'), `${line(3)}\n`);
        else unlinkSync(join(lake, 'a'));
        throw new LostObject(loss);
      },
    };
    const scan = await scanOf({ store });
    await scan.update();
    expect([seqs(scan), scan.damage]).toEqual([loss === 'changed' ? [1, 2, 3] : [2], []]);
  });

  test('names an object that is never the one that was listed', async () => {
    put('a', line(1));
    const folder = await openFolder(lake);
    let reads = 0;
    const store: LakeStore = {
      ...folder,
      async read() {
        appendFileSync(join(lake, 'a'), `${line(++reads)}\n`);
        throw new LostObject('changed');
      },
    };
    const scan = await scanOf({ store });
    await scan.update();
    expect(scan.damage).toEqual([
      { object: 'a', line: 1, lines: 1, why: 'its bytes have changed since it was listed' },
    ]);
  });

  test('leaves out objects that were written before the time', async () => {
    put('a', line(1));
    put('b', line(2));
    utimesSync(join(lake, 'a'), 1_000, 1_000);
    const scan = await scanOf({ since: 2_000_000 });
    await scan.update();
    expect([seqs(scan), scan.modifiedAt(0) >= 2_000_000]).toEqual([[2], true]);
  });

  test('hears the signal between two objects', async () => {
    put('a', line(1));
    put('b', line(2));
    const abort = new AbortController();
    const scan = await scanOf({ signal: abort.signal, onProgress: () => abort.abort(new Error('enough')) });
    await expect(scan.update()).rejects.toThrow('enough');
  });

  test('says how much of the new objects it has read', async () => {
    for (const name of 'abcd') put(name, line(1));
    const heard: number[] = [];
    const scan = await scanOf({ onProgress: ({ fraction }) => heard.push(fraction) });
    await scan.update();
    expect(heard).toEqual([0, 0.25, 0.5, 0.75]);
  });
});

describe('damage', () => {
  test('is named by the first line of each reason, and is gone once the object is replaced', async () => {
    put('a', line(1), 'hello', line(2), 'hello', '{"a":1}');
    const scan = await scanOf();
    await scan.update();
    expect(scan.damage).toEqual([
      { object: 'a', line: 2, lines: 2, why: 'it is not JSON' },
      { object: 'a', line: 5, lines: 1, why: 'it is no event of format debezium' },
    ]);
    put('a', line(1), line(2), line(3));
    await scan.update();
    expect([scan.damage, seqs(scan)]).toEqual([[], [1, 2, 3]]);
  });

  test('is gone once the object is', async () => {
    put('a', line(1));
    put('b', 'hello');
    const scan = await scanOf();
    await scan.update();
    unlinkSync(join(lake, 'b'));
    await scan.update();
    expect(scan.damage).toEqual([]);
  });

  test('in a line leaves the events beside it', async () => {
    put('a', line(1), line(2).slice(0, 50), line(3));
    writeFileSync(join(lake, 'b'), Buffer.concat([Buffer.from(`${line(4)}\n"`), Buffer.of(0xff, 0x0a)]));
    const scan = await scanOf();
    await scan.update();
    expect([seqs(scan), scan.damage.map(({ why }) => why)]).toEqual([
      [1, 3, 4],
      ['it is not JSON', 'it is not UTF-8'],
    ]);
  });

  test('is an event without the key columns of its table', async () => {
    put('a', line(1, 1, { key: '{"other":1}' }), line(2, 2, { key: null }));
    const scan = await scanOf();
    await scan.update();
    expect(scan.damage).toMatchObject([{ line: 1, lines: 2, why: 'it lacks the key columns of its table' }]);
  });

  test('that is noted later is named by its line', async () => {
    const lines = Array.from({ length: 12_000 }, (_, i) => line(i + 1, i % 5));
    put('a', ...lines);
    put('b', line(20_000));
    const scan = await scanOf();
    await scan.update();
    const placeOf = (n: number) => found(scan)[n - 1]?.line as Found['line'];
    for (const n of [10_001, 10_000, 12_001]) scan.noteDamage(placeOf(n), 'it is odd');
    await scan.nameDamage();
    expect(scan.damage).toEqual([
      { object: 'a', line: 10_000, lines: 2, why: 'it is odd' },
      { object: 'b', line: 1, lines: 1, why: 'it is odd' },
    ]);
  });

  test.each([
    ['and the scan knows it', true],
    ['and the scan does not know it yet', false],
  ])('that was noted in an object that is gone is not named, %s', async (_, isKnown) => {
    put('a', line(1));
    const scan = await scanOf();
    await scan.update();
    scan.noteDamage((found(scan)[0] as Found).line, 'it is odd');
    unlinkSync(join(lake, 'a'));
    if (isKnown) await scan.update();
    await scan.nameDamage();
    expect(scan.damage).toEqual([]);
  });
});

describe('a copy of an object', () => {
  test('is named, whether it is gzip or plain, and its events count', async () => {
    put('a', line(1));
    writeFileSync(join(lake, 'b.gz'), gzipSync(`${line(1)}\n`));
    put('c', line(1), line(2));
    const scan = await scanOf();
    await scan.update();
    expect(scan.copies).toEqual([{ object: 'b.gz', of: 'a' }]);
    expect(seqs(scan)).toEqual([1, 1, 1, 2]);
  });

  test.each(['a', 'b'])('is none any more once %s is gone', async (name) => {
    put('a', line(1));
    put('b', line(1));
    const scan = await scanOf();
    await scan.update();
    expect(scan.copies).toEqual([{ object: 'b', of: 'a' }]);
    unlinkSync(join(lake, name));
    await scan.update();
    expect(scan.copies).toEqual([]);
  });

  test('of an object without bytes is none', async () => {
    put('a');
    put('b');
    const scan = await scanOf();
    await scan.update();
    expect(scan.copies).toEqual([]);
  });
});

describe('what else is in the lake', () => {
  test('events of tables that are not compared count, and are not kept', async () => {
    put('a', line(1), line(2, 2, { table: 'orders' }), line(3, 3, { schema: 'other' }), line(4));
    const scan = await scanOf();
    await scan.update();
    expect([seqs(scan), scan.eventsOf, scan.capturedEvents, scan.foreign]).toEqual([[1, 4], [2], 1, 'other.users']);
    expect(scan.damage).toEqual([]);
  });

  test('events of another pipeline are damage', async () => {
    put('a', line(1).replace('"name":"shop"', '"name":"show"'));
    const scan = await scanOf();
    await scan.update();
    expect([seqs(scan), scan.foreign]).toEqual([[], 'the pipeline "show"']);
    expect(scan.damage).toMatchObject([{ line: 1, why: 'it is an event of another pipeline' }]);
  });

  test('the events that empty a table are known by their seqs, each once, while their objects are there', async () => {
    const emptied = line(7, 7, { op: 't', key: null, row: null });
    put('a', line(1), emptied, line(9, 9, { op: 't', key: null, row: null }));
    put('b', emptied, line(8));
    const scan = await scanOf();
    await scan.update();
    expect(scan.emptiedSeqs()).toEqual([[seq(7), seq(9)]]);
    unlinkSync(join(lake, 'a'));
    await scan.update();
    expect([scan.emptiedSeqs(), seqs(scan)]).toEqual([[[seq(7)]], [8]]);
  });
});

describe('fetch', () => {
  test('gives the lines of events in several blocks of several objects', async () => {
    const large = 'x'.repeat(1_500);
    const lines = Array.from({ length: 6_000 }, (_, i) => line(i + 1, i, { row: `{"id":${i},"v":"${large}ü${i}"}` }));
    put('a', ...lines.slice(0, 4_000));
    writeFileSync(
      join(lake, 'b.gz'),
      gzipSync(
        lines
          .slice(4_000)
          .map((text) => `${text}\n`)
          .join(''),
      ),
    );
    const scan = await scanOf();
    await scan.update();
    const wanted = found(scan).filter(({ n }) => [1, 2, 1_500, 3_999, 4_000, 4_001, 6_000].includes(n));
    const byPlace = new Map(wanted.map((event) => [event.line, event.n]));
    const given = new Map<number, string>();
    await scan.fetch([...byPlace.keys()].reverse(), (place, text) => {
      given.set(byPlace.get(place) as number, text.toString());
    });
    expect(given.size).toBe(7);
    for (const [n, text] of given) expect(text === lines[n - 1]).toBe(true);
  });

  test('gives nothing of an object that is gone or has changed', async () => {
    put('a', line(1));
    put('b', line(2));
    put('c', line(3));
    const scan = await scanOf();
    await scan.update();
    unlinkSync(join(lake, 'a'));
    appendFileSync(join(lake, 'b'), `${line(4)}\n`);
    const given: string[] = [];
    await scan.fetch(
      found(scan).map(({ line: place }) => place),
      (_, text) => given.push(text.toString()),
    );
    expect(given).toEqual([line(3)]);
  });
});

test('a record keeps the members of its row if they are asked for, and each is reported', async () => {
  put('a', line(1));
  const scan = await scanOf({ withPayload: true });
  const reported: string[] = [];
  scan.onRecord = (record, payload) => reported.push(`${eventAt(record, 0).seq} ${payload}`);
  await scan.update();
  expect(reported).toEqual([`${seq(1)} "id":1,"v":"row 1"`]);
  const partition = Array.from({ length: PARTITIONS }, (_, i) => records.read(i)).find(({ length }) => length > 0);
  expect(eventAt(partition as Buffer, 0)).toMatchObject({ members: '"id":1,"v":"row 1"', isPartial: false });
  expect(readdirSync(lake)).toEqual(['a']);
});
