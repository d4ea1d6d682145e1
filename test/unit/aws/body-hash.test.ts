import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { BodyHash } from '../../../src/aws/body-hash.ts';

test.each([
  ['a slow processor', Number.POSITIVE_INFINITY, true],
  ['a fast processor', 0, false],
])('on %s every body gets its SHA-256, as it was when it was given', async (_, fastBytesPerMs, usesPool) => {
  const hash = new BodyHash(fastBytesPerMs);
  for (let i = 0; i < 8; i++) {
    for (const size of [0, 1_000, 300_000]) {
      const body = Buffer.alloc(size, i + 1);
      const expected = createHash('sha256').update(body).digest('hex');
      const given = hash.of(body);
      body.fill(0);
      expect(await given).toBe(expected);
    }
  }
  expect(hash.usesPool).toBe(usesPool);
});
