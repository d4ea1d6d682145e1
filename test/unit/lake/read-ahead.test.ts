import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { LakeObject, LakeStore } from '../../../src/lake/object-store.ts';
import { OPEN_OBJECTS_MAX, readAhead } from '../../../src/lake/read-ahead.ts';

const objects = Array.from({ length: 10 }, (_, i) => ({ name: `o${i}`, bytes: 0, version: '', modifiedAt: 0 }));

/** A lake whose objects have one line each, their name. */
class Lake implements LakeStore {
  readonly location = 'memory';
  readonly opened: string[] = [];
  readonly closed: string[] = [];
  broken: string | undefined;

  async list(): Promise<LakeObject[]> {
    return objects;
  }
  async read({ name }: LakeObject): Promise<Readable> {
    this.opened.push(name);
    if (name === this.broken) throw new Error(`${name} is broken`);
    const stream = Readable.from([Buffer.from(`${name}\n`)]);
    stream.once('close', () => this.closed.push(name));
    return stream;
  }
  close(): void {}
}

const text = async (lines: AsyncIterable<{ bytes: Buffer }>): Promise<string> => {
  let all = '';
  for await (const { bytes } of lines) all += bytes;
  return all;
};

test('objects come in their order, each with its lines', async () => {
  const lake = new Lake();
  const found: string[] = [];
  for await (const { object, lines } of readAhead(lake, objects, new AbortController().signal)) {
    found.push(`${object.name}: ${await text(lines)}`);
  }
  expect(found).toEqual(objects.map(({ name }) => `${name}: ${name}\n`));
});

test('the next objects are open while one is read, and no more than the limit', async () => {
  const lake = new Lake();
  for await (const { object, lines } of readAhead(lake, objects, new AbortController().signal)) {
    await text(lines);
    await new Promise((resolve) => void setImmediate(resolve));
    const number = Number(object.name.slice(1));
    expect(lake.opened.length).toBe(Math.min(objects.length, number + OPEN_OBJECTS_MAX));
  }
});

test('an object that fails does so when its turn comes', async () => {
  const lake = new Lake();
  lake.broken = 'o2';
  const found: string[] = [];
  const reading = async (): Promise<void> => {
    for await (const { lines } of readAhead(lake, objects, new AbortController().signal)) found.push(await text(lines));
  };
  await expect(reading()).rejects.toThrow('o2 is broken');
  expect(found).toEqual(['o0\n', 'o1\n']);
});

test('without objects there is nothing', async () => {
  for await (const _ of readAhead(new Lake(), [], new AbortController().signal)) throw new Error('an object');
});
