import { expect, test } from 'vitest';
import { decompress } from '../../../../src/source/binlog/zstd.ts';
import { zstdFrame } from './events.ts';

const all = (frame: Buffer): Uint8Array[] => [...decompress(frame, 0, frame.length)];

test('a frame is decompressed block by block, 128 KiB at a time, no further than requested', () => {
  // A gigabyte in 32 KiB.
  const frame = zstdFrame(Array.from({ length: 8192 }, () => ({ repeated: 7, times: 131072 })));
  const blocks = decompress(frame, 0, frame.length);
  for (let i = 0; i < 3; i++) {
    const { value } = blocks.next() as { value: Uint8Array };
    expect(value).toHaveLength(131072);
    expect(value[131071]).toBe(7);
  }
});

test('a block above the limit of its frame is rejected before memory is allocated for it', () => {
  expect(() => all(zstdFrame([{ repeated: 7, times: 131073 }]))).toThrow('cannot be decompressed');
  expect(() => all(zstdFrame([{ repeated: 7, times: 2000 }], 10))).toThrow('cannot be decompressed');
  expect(all(zstdFrame([{ repeated: 7, times: 1024 }], 10))).toHaveLength(1);
});

test('a window above the limit is rejected, and the error names a compression level that needs less', () => {
  expect(() => all(zstdFrame([{ raw: Buffer.from('x') }], 26))).toThrow('needs more memory');
  expect(Buffer.concat(all(zstdFrame([{ raw: Buffer.from('x') }], 25))).toString()).toBe('x');
});
