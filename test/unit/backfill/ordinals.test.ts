import { expect, test } from 'vitest';
import { ORDINALS_RESERVED, Ordinals } from '../../../src/backfill/ordinals.ts';

test('ordinals can be used once a checkpoint that reserves them is durable', () => {
  const ordinals = new Ordinals(0);
  expect(ordinals.available).toBe(0);
  const { reservation } = ordinals;
  expect(ordinals.available).toBe(0);
  ordinals.saved(reservation);
  expect(ordinals.available).toBe(ORDINALS_RESERVED);
  ordinals.next += 10;
  expect(ordinals.available).toBe(ORDINALS_RESERVED - 10);
});

test('ordinals of a crash are never used again', () => {
  const crashed = new Ordinals(0);
  const saved = crashed.reservation;
  crashed.saved(saved);
  crashed.next += crashed.available;
  // A later checkpoint was not durable yet.
  expect(crashed.reservation).toBeGreaterThan(saved);
  expect(crashed.available).toBe(0);
  expect(new Ordinals(saved).next).toBe(crashed.next);
});

test('an earlier checkpoint that is durable late takes no ordinals back', () => {
  const ordinals = new Ordinals(0);
  const early = ordinals.reservation;
  ordinals.saved(early);
  ordinals.next = 100;
  ordinals.saved(ordinals.reservation);
  ordinals.saved(early);
  expect(ordinals.available).toBe(ORDINALS_RESERVED);
});
