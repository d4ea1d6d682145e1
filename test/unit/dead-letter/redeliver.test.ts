import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DeadLetterStore } from '../../../src/dead-letter/dead-letter-store.ts';
import { type RedeliveryResult, redeliver } from '../../../src/dead-letter/redeliver.ts';
import type { RecordOutcome, Sink } from '../../../src/sinks/sink.ts';
import { letter, seqOf } from './dead-letters.ts';

const EVENT = { op: 'u' as const, table: { schema: 'shop', name: 'orders', columns: [], key: [] } };

const ACCEPTED: RecordOutcome = { kind: 'accepted' };
const rejected = (scope: 'record' | 'request' | 'stream'): RecordOutcome => ({
  kind: 'rejected',
  scope,
  reason: 'No.',
  hint: 'repair it',
});

let directory: string;
let store: DeadLetterStore;
const ended = { controller: new AbortController() };
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-redeliver-'));
  store = new DeadLetterStore(directory, 'shop', 1024 ** 3);
  ended.controller = new AbortController();
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Redelivers to a sink with the outcomes of `answer`. Returns the requests to the sink, and the results. */
async function redelivered(
  ids: string[],
  answer: (line: string, call: number) => RecordOutcome,
  { allowsOutOfOrder = false, ...more }: Partial<Sink> & { allowsOutOfOrder?: boolean } = {},
) {
  const requests: string[][] = [];
  const sink: Sink = {
    service: 'Firehose',
    needsKeys: false,
    limits: { maxRecords: 500, maxRecordBytes: 1000, maxRequestBytes: 4000 },
    async send(records) {
      const lines = records.map(({ buffers }) => Buffer.concat(buffers).toString());
      requests.push(lines);
      return [answer(lines[0] as string, requests.length)];
    },
    close() {},
    ...more,
  };
  const results = new Map<string, RedeliveryResult>();
  await redeliver(store, ids, {
    route: ({ table }) => ({ stream: table === 'shop.orders' ? 'now' : 'elsewhere', sink }),
    describe: () => EVENT,
    onResult: (seq, result) => void results.set(seq, result),
    allowsOutOfOrder,
    signal: ended.controller.signal,
  });
  return { requests, results };
}

describe('redeliver', () => {
  test('sends each alone in its request, byte for byte, and removes it once it is accepted', async () => {
    const ids = Array.from({ length: 20 }, (_, n) => seqOf(n));
    await store.write(ids.map((_, n) => letter(n)));
    const { requests, results } = await redelivered(ids, () => ACCEPTED);
    expect(requests.flat().sort()).toEqual(ids.map((_, n) => letter(n).event.toString()).sort());
    expect(requests.every((lines) => lines.length === 1)).toBe(true);
    expect([...results.values()]).toEqual(ids.map(() => ({ sent: true, stream: 'now' })));
    expect(await store.ids()).toEqual([]);
  });

  test('keeps a rejected one with one more attempt, the new reason and the current stream', async () => {
    await store.write([letter(1), letter(2)]);
    const { results } = await redelivered([seqOf(1), seqOf(2)], (line) =>
      line.includes('"id":1}') ? rejected('request') : ACCEPTED,
    );
    expect(results.get(seqOf(1))).toEqual({ sent: false, reason: 'refused by Firehose: No.', hint: 'repair it' });
    expect(await store.ids()).toEqual([seqOf(1)]);
    expect(await store.read(seqOf(1))).toMatchObject({
      ...letter(1),
      stream: 'now',
      attempts: 2,
      reason: 'refused by Firehose: No.',
    });
  });

  test('keeps the time at which the event was moved to the dead letters', async () => {
    await store.write([letter(1)]);
    const { at } = await store.read(seqOf(1));
    await new Promise((done) => setTimeout(done, 5));
    await redelivered([seqOf(1)], () => rejected('record'));
    expect((await store.read(seqOf(1))).at).toBe(at);
  });

  test('retries while the stream throttles or does not answer', async () => {
    await store.write([letter(1)]);
    const { requests } = await redelivered([seqOf(1)], (_, call) =>
      call === 1
        ? { kind: 'throttled', reason: 'Slow down.' }
        : call === 2
          ? { kind: 'unknown', reason: '?' }
          : ACCEPTED,
    );
    expect(requests).toHaveLength(3);
    expect(await store.ids()).toEqual([]);
  });

  test('leaves them unchanged while the stream throttles', async () => {
    const pauses = vi.spyOn(Math, 'random').mockReturnValue(0);
    await store.write([letter(1)]);
    const before = readFileSync(store.pathOf(seqOf(1)), 'utf8');
    const { requests } = await redelivered([seqOf(1)], () => ({ kind: 'throttled', reason: 'Slow down.' }));
    pauses.mockRestore();
    expect(requests).toHaveLength(8);
    expect(readFileSync(store.pathOf(seqOf(1)), 'utf8')).toBe(before);
  });

  test('does not send one above the record limit, leaves it unchanged and gives a hint', async () => {
    await store.write([
      letter(1, { event: Buffer.alloc(1001, 'x'), attempts: 0 }),
      letter(2, { event: Buffer.alloc(1000, 'x') }),
    ]);
    const before = readFileSync(store.pathOf(seqOf(1)), 'utf8');
    const { requests, results } = await redelivered([seqOf(1), seqOf(2)], () => ACCEPTED);
    expect(requests).toHaveLength(1);
    expect(results.get(seqOf(1))).toMatchObject({
      sent: false,
      reason: expect.stringMatching(/^1001 bytes .*\(1000\)$/),
    });
    expect(results.get(seqOf(1))).toMatchObject({ hint: expect.stringContaining(store.pathOf(seqOf(1))) });
    expect(readFileSync(store.pathOf(seqOf(1)), 'utf8')).toBe(before);
  });

  test('measures and sends the bytes that the sink encodes', async () => {
    await store.write([letter(1, { event: Buffer.alloc(1001, 'x') })]);
    const encodeRecord: Sink['encodeRecord'] = async () => [Buffer.from('sm'), Buffer.from('all')];
    const { requests } = await redelivered([seqOf(1)], () => ACCEPTED, { encodeRecord });
    expect(requests).toEqual([['small']]);
  });

  test('sends none to an ordered log, where it would be behind later events of its key, unless it is asked to', async () => {
    await store.write([letter(1)]);
    const { requests, results } = await redelivered([seqOf(1)], () => ACCEPTED, { service: 'Kafka', isLog: true });
    expect(requests).toEqual([]);
    expect(results.get(seqOf(1))).toMatchObject({
      sent: false,
      reason: expect.stringContaining('Kafka keeps the order of arrival'),
      hint: expect.stringContaining('--out-of-order'),
    });
    expect(await store.ids()).toContain(seqOf(1));
    const asked = await redelivered([seqOf(1)], () => ACCEPTED, { isLog: true, allowsOutOfOrder: true });
    expect(asked.results.get(seqOf(1))).toMatchObject({ sent: true });
  });

  test('stops sending to a stream that rejects everything, and leaves its dead letters unchanged', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => seqOf(n));
    await store.write(ids.map((_, n) => letter(n)));
    const { requests, results } = await redelivered(ids, () => rejected('stream'));
    expect(requests.length).toBeLessThanOrEqual(8);
    expect(results.size).toBe(40);
    expect([...results.values()].every((result) => !result.sent && /^the stream now rejects/.test(result.reason))).toBe(
      true,
    );
    expect((await store.list()).letters.every(({ attempts }) => attempts === 1)).toBe(true);
  });

  test('keeps a damaged one and sends the others', async () => {
    await store.write([letter(1), letter(2)]);
    writeFileSync(store.pathOf(seqOf(1)), 'damaged');
    const { results } = await redelivered([seqOf(1), seqOf(2)], () => ACCEPTED);
    expect(results.get(seqOf(1))).toMatchObject({ sent: false, reason: expect.stringContaining('cannot read') });
    expect(results.get(seqOf(2))).toMatchObject({ sent: true });
    expect(await store.ids()).toEqual([seqOf(1)]);
  });

  test('leaves them unchanged when a signal ends it, except those accepted before', async () => {
    const ids = Array.from({ length: 30 }, (_, n) => seqOf(n));
    await store.write(ids.map((_, n) => letter(n)));
    const { results } = await redelivered(ids, (_, call) => {
      if (call < 3) return ACCEPTED;
      ended.controller.abort();
      return { kind: 'unknown', reason: 'AbortError' };
    });
    const sent = [...results].filter(([, result]) => result.sent).map(([seq]) => seq);
    expect(sent).toHaveLength(2);
    expect(await store.ids()).toEqual(ids.filter((seq) => !sent.includes(seq)));
    expect((await store.list()).letters.every(({ attempts }) => attempts === 1)).toBe(true);
  });
});
