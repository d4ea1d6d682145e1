import { appendFileSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { ObjectDamage, readLines } from '../../../src/lake/object-lines.ts';
import type { LakeObject, LakeStore } from '../../../src/lake/object-store.ts';
import { openLake } from '../../../src/lake/open-lake.ts';
import { debeziumLine } from './event-lines.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-lines-'));
afterAll(() => rmSync(directory, { recursive: true }));

const never = new AbortController().signal;
const event = (seq: number): string =>
  `${debeziumLine({ op: 'c', seq, key: `{"id":${seq}}`, row: `{"id":${seq},"v":"${Math.sin(seq)}"}` })}\n`;
const events = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => event(from + i)).join('');

/** A lake with one object whose bytes come in these pieces. */
function memory(pieces: readonly (Buffer | string | Error)[]): { store: LakeStore; object: LakeObject } {
  async function* bytes() {
    for (const piece of pieces) {
      if (piece instanceof Error) throw piece;
      yield Buffer.from(piece);
    }
  }
  const store: LakeStore = {
    location: 'memory',
    list: async () => [object],
    read: async () => Readable.from(bytes()),
    close() {},
  };
  const object: LakeObject = { name: 'o', bytes: 0, version: '', modifiedAt: 0 };
  return { store, object };
}

interface Read {
  text: string;
  damage: { line: number; why: string; kind: string } | undefined;
}

async function read({ store, object }: { store: LakeStore; object: LakeObject }): Promise<Read> {
  let text = '';
  try {
    for await (const { bytes, firstLine } of readLines(store, object, never)) {
      expect(firstLine).toBe(text.split('\n').length);
      expect(bytes.at(-1)).toBe(10);
      text += bytes.toString();
    }
    return { text, damage: undefined };
  } catch (error) {
    if (!(error instanceof ObjectDamage)) throw error;
    const { line, why, kind } = error;
    return { text, damage: { line, why, kind } };
  }
}

const cut = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
};

describe('whole objects', () => {
  test('plain and gzip, with one member or many, in pieces of any size, give the same lines', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 5 });
    const groups = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sizes, groups, fc.boolean(), async (pieces, counts, isGzip) => {
        let seq = 0;
        const texts = counts.map((count) => events(seq + 1, (seq += count)));
        const bytes = Buffer.concat(texts.map((text) => (isGzip ? gzipSync(text) : Buffer.from(text))));
        expect(await read(memory(cut(bytes, pieces)))).toEqual({ text: texts.join(''), damage: undefined });
      }),
      { numRuns: 150 },
    );
  });

  test('many megabytes come in blocks of 256 KiB, and few are held', async () => {
    const text = events(1, 20_000);
    const { store, object } = memory(cut(Buffer.from(text), [65_536]));
    const sizes: number[] = [];
    for await (const { bytes } of readLines(store, object, never)) sizes.push(bytes.length);
    expect(sizes.slice(0, -2).every((size) => size > 200_000 && size < 330_000)).toBe(true);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(text.length);
  });

  test('a large piece is not copied: the line that it completes is a block of its own', async () => {
    const text = Buffer.from(events(1, 4_000));
    const pieces = cut(text, [600_000]);
    const { store, object } = memory([]);
    store.read = async () => Readable.from(pieces);
    const blocks: Buffer[] = [];
    for await (const { bytes } of readLines(store, object, never)) blocks.push(bytes);
    expect(Buffer.concat(blocks).equals(text)).toBe(true);
    const isCopied = (block: Buffer) => block.buffer !== text.buffer;
    expect(blocks.filter(isCopied).length).toBe(pieces.length - 1);
    expect(blocks.filter(isCopied).every((block) => block.toString().split('\n').length === 2)).toBe(true);
  });

  test('an empty object has no lines, and neither has a member without bytes', async () => {
    expect(await read(memory([]))).toEqual({ text: '', damage: undefined });
    expect(await read(memory([gzipSync('')]))).toEqual({ text: '', damage: undefined });
  });

  test('the first bytes decide, not the name: text that only looks odd is given as it is', async () => {
    for (const text of ['\n\n', 'PAR\n', '[1]\n', '\u0000\u0001\n', 'é\n']) {
      expect(await read(memory([text]))).toEqual({ text, damage: undefined });
    }
  });
});

describe('damage', () => {
  test.each([
    ['Parquet', Buffer.from('PAR1\u0015\u0004\n')],
    ['ORC', Buffer.from('ORC\n')],
    ['Avro', Buffer.from('Obj\u0001\u0004\n')],
    ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 10])],
    ['Snappy', Buffer.from('ff060000734e61507059', 'hex')],
    ['ZIP', Buffer.from('PK\u0003\u0004')],
  ])('%s is not NDJSON', async (name, bytes) => {
    const damage = { line: 1, why: `it is not NDJSON, but ${name}`, kind: 'damaged' };
    expect(await read(memory([bytes.subarray(0, 1), bytes.subarray(1)]))).toEqual({ text: '', damage });
    expect(await read(memory([gzipSync(bytes)]))).toEqual({ text: '', damage });
  });

  test('gzip within gzip is named', async () => {
    const { damage } = await read(memory([gzipSync(gzipSync(event(1)))]));
    expect(damage).toMatchObject({ why: 'it is compressed twice' });
  });

  test('a last line without a newline is half a line: the lines before it are given, and it is named', async () => {
    const half = { line: 3, why: 'no newline ends it', kind: 'damaged' };
    const text = events(1, 2);
    expect(await read(memory([`${text}{"op":`]))).toEqual({ text, damage: half });
    expect(await read(memory([gzipSync(`${text}{"op":`)]))).toEqual({ text, damage: half });
  });

  test('gzip that is cut anywhere is damaged, except between two members', async () => {
    const [first, second] = [gzipSync(events(1, 2)), gzipSync(events(3, 4))];
    const whole = Buffer.concat([first, second]);
    for (let length = 2; length < whole.length; length++) {
      const { text, damage } = await read(memory([whole.subarray(0, length)]));
      if (length === first.length) expect({ text, damage }).toEqual({ text: events(1, 2), damage: undefined });
      else {
        expect(damage, `${length} of ${whole.length} bytes`).toMatchObject({ why: 'its gzip data ends early' });
        expect(events(1, 4).startsWith(text)).toBe(true);
        if (length > first.length) expect(text.startsWith(events(1, 2))).toBe(true);
        // Without its checksum, all of a member has been read.
        if (length > whole.length - 8) expect(text).toBe(events(1, 4));
      }
    }
  });

  test('a flipped byte of gzip data does not pass', async () => {
    const whole = Buffer.concat([gzipSync(events(1, 3)), gzipSync(events(4, 6))]);
    const unseen: number[] = [];
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
      const { text, damage } = await read(memory(cut(bytes, [whole.length / 3])));
      if (damage === undefined && text !== events(1, 6)) unseen.push(at);
    }
    expect(unseen).toEqual([]);
  });

  test('a wrong checksum is damage', async () => {
    const bytes = gzipSync(event(1));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 8) ^ 1, bytes.length - 8);
    expect((await read(memory([bytes]))).damage?.why).toBe('its gzip data is damaged (incorrect data check)');
  });

  test.each<[string, Buffer]>([
    ['text', Buffer.from('{"op":"c"}\n')],
    ['a zero', Buffer.alloc(1)],
    ['zeros and a member', Buffer.concat([Buffer.alloc(700), gzipSync(event(9))])],
    ['zlib data', deflateSync(event(9))],
  ])('%s after a member is damage, and the lines before it are given', async (_, garbage) => {
    const text = events(1, 3);
    for (const size of [1_000_000, gzipSync(text).length, 7]) {
      const found = await read(memory(cut(Buffer.concat([gzipSync(text), garbage]), [size])));
      const why = 'bytes follow its gzip data that are not gzip';
      expect(found.damage).toEqual({ line: size === 1_000_000 ? expect.any(Number) : 4, why, kind: 'damaged' });
      if (size !== 1_000_000) expect(found.text).toBe(text);
    }
  });

  test('a line of more than 64 MiB ends the reading, and no more than that is held', async () => {
    const mebibyte = Buffer.alloc(1024 ** 2, 'x');
    let given = 0;
    async function* endless() {
      yield Buffer.from(events(1, 2));
      for (; ; given++) yield mebibyte;
    }
    const { store, object } = memory([]);
    store.read = async () => Readable.from(endless(), { highWaterMark: 1 });
    const { text, damage } = await read({ store, object });
    expect(text).toBe(events(1, 2));
    expect(damage).toEqual({ line: 3, why: 'it has no newline in 64 MiB', kind: 'damaged' });
    expect(given).toBeLessThan(68);
  });

  test('a line of 64 MiB is read', async () => {
    const line = Buffer.alloc(64 * 1024 ** 2 + 1, 'x');
    line[line.length - 1] = 10;
    const { store, object } = memory(cut(line, [1024 ** 2]));
    const sizes: number[] = [];
    for await (const { bytes } of readLines(store, object, never)) sizes.push(bytes.length);
    expect(sizes).toEqual([line.length]);
  });

  test('an error of the store is given as it is, after the lines before it', async () => {
    const { store, object } = memory([events(1, 2), new Error('broken')]);
    let lines = 0;
    const reading = async () => {
      for await (const { bytes } of readLines(store, object, never)) lines += bytes.toString().split('\n').length - 1;
    };
    await expect(reading()).rejects.toThrow('broken');
    expect(lines).toBe(2);
  });
});

describe('an object in a folder', () => {
  const folder = async (name: string, bytes: Buffer | string) => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    const store = await openLake(directory);
    const object = (await store.list()).find((listed) => listed.name === name) as LakeObject;
    return { path, store, object };
  };

  test('that is gone, has grown or was replaced since it was listed is damage of another kind', async () => {
    const gone = await folder('gone', event(1));
    unlinkSync(gone.path);
    const why = 'it is no longer there';
    expect(await read(gone)).toEqual({ text: '', damage: { line: 1, why, kind: 'gone' } });
    const grown = await folder('grown', event(1));
    appendFileSync(grown.path, event(2));
    expect((await read(grown)).damage).toMatchObject({ line: 1, kind: 'changed' });
    const replaced = await folder('replaced', event(1));
    writeFileSync(replaced.path, event(2));
    expect((await read(replaced)).damage).toMatchObject({ line: 1, kind: 'changed' });
  });

  test('that grows while it is read is damage, after the lines that were listed', async () => {
    const { path, store, object } = await folder('growing', events(1, 10_000));
    let text = '';
    const reading = async () => {
      for await (const { bytes } of readLines(store, object, never)) {
        if (text === '') appendFileSync(path, event(10_001));
        text += bytes.toString();
      }
    };
    await expect(reading()).rejects.toMatchObject({ kind: 'changed' });
    expect(text).toBe(events(1, 10_000));
  });

  test('the signal ends the reading with its reason, and a caller can stop early', async () => {
    const { store, object } = await folder('large', events(1, 20_000));
    const abort = new AbortController();
    const reading = async () => {
      for await (const _ of readLines(store, object, abort.signal)) abort.abort(new Error('enough'));
    };
    await expect(reading()).rejects.toThrow('enough');
    for await (const _ of readLines(store, object, never)) break;
  });
});
