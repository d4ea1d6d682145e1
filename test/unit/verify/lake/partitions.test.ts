import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { PARTITIONS, Partitions, Workspace } from '../../../../src/verify/lake/partitions.ts';

const root = mkdtempSync(join(tmpdir(), 'cdc-partitions-'));
afterAll(() => rmSync(root, { recursive: true }));
const open: Partitions[] = [];
afterEach(() => {
  for (const partitions of open.splice(0)) partitions.close();
  vi.unstubAllEnvs();
});

let folders = 0;
function partitions(): Partitions {
  const made = new Partitions(join(root, `${++folders}`));
  open.push(made);
  return made;
}
const text = (some: Partitions, partition: number): string => some.read(partition).toString();
const files = (): string[] => readdirSync(root).filter((name) => name.startsWith(`${folders}-`));

describe('partitions', () => {
  test('keep the records of each range apart, in their order', () => {
    const some = partitions();
    some.add(0, Buffer.from('a'), Buffer.from('A'));
    some.add(PARTITIONS - 1, Buffer.from('z'));
    some.add(0, Buffer.from('b'));
    expect([text(some, 0), text(some, 1), text(some, PARTITIONS - 1)]).toEqual(['aAb', '', 'z']);
  });

  test('can be read, added to, and read again', () => {
    const some = partitions();
    some.add(7, Buffer.from('a'));
    expect(text(some, 7)).toBe('a');
    some.add(7, Buffer.from('b'));
    expect([text(some, 7), text(some, 7)]).toEqual(['ab', 'ab']);
  });

  test('keep records that are larger than their buffer between the others', () => {
    const some = partitions();
    const large = 'x'.repeat(100_000);
    some.add(7, Buffer.from('a'));
    some.add(7, Buffer.from('head'), Buffer.from(large));
    some.add(7, Buffer.from('b'));
    expect(text(some, 7) === `ahead${large}b`).toBe(true);
  });

  test('keep a head and members that fill the buffer exactly, and one byte more', () => {
    const some = partitions();
    const sizes = [32_768, 32_767, 1, 1, 32_768];
    for (const size of sizes) some.add(7, Buffer.from('h'), Buffer.alloc(size - 1, 'x'));
    expect(text(some, 7) === sizes.map((size) => `h${'x'.repeat(size - 1)}`).join('')).toBe(true);
  });

  test('keep very many records', () => {
    const some = partitions();
    const expected = Array.from({ length: PARTITIONS }, () => '');
    for (let i = 0; i < 50_000; i++) {
      const partition = (i * 7) % PARTITIONS;
      const record = `${i};`.repeat(1 + (i % 9));
      expected[partition] += record;
      some.add(partition, Buffer.from(record));
    }
    expect(expected.map((_, partition) => text(some, partition)).join('').length).toBe(expected.join('').length);
    expect(expected.every((records, partition) => text(some, partition) === records)).toBe(true);
  });

  test('forget what is dropped, and take new records after that', () => {
    const some = partitions();
    some.add(7, Buffer.alloc(50_000, 'x'));
    some.add(7, Buffer.from('in the buffer'));
    some.add(8, Buffer.from('other'));
    some.drop(7);
    expect([text(some, 7), text(some, 8)]).toEqual(['', 'other']);
    some.add(7, Buffer.from('new'));
    expect(text(some, 7)).toBe('new');
  });

  test('leave no file behind', () => {
    const some = partitions();
    for (const partition of [3, 4]) some.add(partition, Buffer.alloc(50_000));
    expect(files()).toHaveLength(2);
    some.drop(3);
    expect(files()).toHaveLength(1);
    some.close();
    expect(files()).toEqual([]);
  });
});

describe('the workspace', () => {
  test('is a folder below TMPDIR, and gone after it is closed', async () => {
    vi.stubEnv('TMPDIR', root);
    const workspace = await Workspace.open();
    const [name = 'none'] = readdirSync(root).filter((file) => file.startsWith('cdc-verify-'));
    const some = workspace.partitions('lake');
    some.add(1, Buffer.alloc(50_000));
    expect(readdirSync(join(root, name))).toEqual(['lake-1']);
    some.close();
    await workspace.close();
    expect(existsSync(join(root, name))).toBe(false);
  });

  test('that cannot be made says what to do', async () => {
    vi.stubEnv('TMPDIR', join(root, 'nowhere'));
    await expect(Workspace.open()).rejects.toMatchObject({
      message: 'cannot write the temporary files of verify',
      hint: expect.stringContaining('TMPDIR'),
    });
  });

  test('whose files cannot be written says what to do', () => {
    const some = new Partitions(join(root, 'nowhere', 'lake'));
    expect(() => some.add(1, Buffer.alloc(50_000))).toThrow('cannot write the temporary files of verify');
  });
});
