import type { DeadLetter } from '../../../src/dead-letter/dead-letter.ts';

/** The seq of the n-th event. */
export const seqOf = (n: number): string => `6b02e25e00000002${n.toString(16).padStart(10, '0')}000000001f`;

/** A dead letter of the n-th event. */
export const letter = (n: number, more: Partial<DeadLetter> = {}): DeadLetter => ({
  stream: 'shop-changes',
  table: 'shop.orders',
  key: `{"id":${n}}`,
  seq: seqOf(n),
  position: `binlog.000002:${n}`,
  gtid: null,
  op: 'u',
  reason: 'refused by Firehose: ValidationException: no',
  attempts: 1,
  event: Buffer.from(`{"op":"u","key":{"id":${n}},"seq":"${seqOf(n)}"}\n`),
  ...more,
});
