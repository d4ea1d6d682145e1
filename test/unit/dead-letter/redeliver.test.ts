import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DeadLetterStore } from '../../../src/dead-letter/dead-letter-store.ts';
import { type RedeliveryResult, redeliver } from '../../../src/dead-letter/redeliver.ts';
import type { RecordOutcome, Sink } from '../../../src/sinks/sink.ts';
import { letter, seqOf } from './dead-letters.ts';

const ACCEPTED: RecordOutcome = { kind: 'accepted' };
const refused = (scope: 'record' | 'request' | 'stream'): RecordOutcome => ({
  kind: 'rejected',
  scope,
  reason: 'No.',
  hint: 'mend it',
});

let directory: string;
let folder: DeadLetterStore;
const ending = { controller: new AbortController() };
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-redeliver-'));
  folder = new DeadLetterStore(directory, 'shop', 1024 ** 3);
  ending.controller = new AbortController();
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Sends letters to a sink that answers each request as told; what it was sent, and what became of the letters. */
async function retried(ids: string[], answer: (line: string, call: number) => RecordOutcome, more: Partial<Sink> = {}) {
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
  const fates = new Map<string, RedeliveryResult>();
  await redeliver(folder, ids, {
    route: ({ table }) => ({ stream: table === 'shop.orders' ? 'now' : 'elsewhere', sink }),
    onResult: (seq, fate) => void fates.set(seq, fate),
    signal: ending.controller.signal,
  });
  return { requests, fates };
}

describe('letters that are sent again', () => {
  test('go each alone in its request, byte for byte, and leave the folder once they are accepted', async () => {
    const ids = Array.from({ length: 20 }, (_, n) => seqOf(n));
    await folder.write(ids.map((_, n) => letter(n)));
    const { requests, fates } = await retried(ids, () => ACCEPTED);
    expect(requests.flat().sort()).toEqual(ids.map((_, n) => letter(n).event.toString()).sort());
    expect(requests.every((lines) => lines.length === 1)).toBe(true);
    expect([...fates.values()]).toEqual(ids.map(() => ({ sent: true, stream: 'now' })));
    expect(await folder.ids()).toEqual([]);
  });

  test('stay with one attempt more, the new reason and the stream of now when they are refused', async () => {
    await folder.write([letter(1), letter(2)]);
    const { fates } = await retried([seqOf(1), seqOf(2)], (line) =>
      line.includes('"id":1}') ? refused('request') : ACCEPTED,
    );
    expect(fates.get(seqOf(1))).toEqual({ sent: false, reason: 'refused by Firehose: No.', hint: 'mend it' });
    expect(await folder.ids()).toEqual([seqOf(1)]);
    expect(await folder.read(seqOf(1))).toMatchObject({
      ...letter(1),
      stream: 'now',
      attempts: 2,
      reason: 'refused by Firehose: No.',
    });
  });

  test('keep the time at which they were set aside', async () => {
    await folder.write([letter(1)]);
    const { at } = await folder.read(seqOf(1));
    await new Promise((done) => setTimeout(done, 5));
    await retried([seqOf(1)], () => refused('record'));
    expect((await folder.read(seqOf(1))).at).toBe(at);
  });

  test('are tried again while Firehose asks to slow down or does not answer', async () => {
    await folder.write([letter(1)]);
    const { requests } = await retried([seqOf(1)], (_, call) =>
      call === 1
        ? { kind: 'throttled', reason: 'Slow down.' }
        : call === 2
          ? { kind: 'unknown', reason: '?' }
          : ACCEPTED,
    );
    expect(requests).toHaveLength(3);
    expect(await folder.ids()).toEqual([]);
  });

  test('stay as they are when their stream takes nothing for now', async () => {
    const pauses = vi.spyOn(Math, 'random').mockReturnValue(0);
    await folder.write([letter(1)]);
    const before = readFileSync(folder.pathOf(seqOf(1)), 'utf8');
    const { requests } = await retried([seqOf(1)], () => ({ kind: 'throttled', reason: 'Slow down.' }));
    pauses.mockRestore();
    expect(requests).toHaveLength(8);
    expect(readFileSync(folder.pathOf(seqOf(1)), 'utf8')).toBe(before);
  });

  test('that are over the limit of a record are not sent and stay as they are, with a way out', async () => {
    await folder.write([
      letter(1, { event: Buffer.alloc(1001, 'x'), attempts: 0 }),
      letter(2, { event: Buffer.alloc(1000, 'x') }),
    ]);
    const before = readFileSync(folder.pathOf(seqOf(1)), 'utf8');
    const { requests, fates } = await retried([seqOf(1), seqOf(2)], () => ACCEPTED);
    expect(requests).toHaveLength(1);
    expect(fates.get(seqOf(1))).toMatchObject({
      sent: false,
      reason: expect.stringMatching(/^1001 bytes .*\(1000\)$/),
    });
    expect(fates.get(seqOf(1))).toMatchObject({ hint: expect.stringContaining(folder.pathOf(seqOf(1))) });
    expect(readFileSync(folder.pathOf(seqOf(1)), 'utf8')).toBe(before);
  });

  test('are measured and sent as the sink encodes them', async () => {
    await folder.write([letter(1, { event: Buffer.alloc(1001, 'x') })]);
    const encodeRecord: Sink['encodeRecord'] = async () => [Buffer.from('sm'), Buffer.from('all')];
    const { requests } = await retried([seqOf(1)], () => ACCEPTED, { encodeRecord });
    expect(requests).toEqual([['small']]);
  });

  test('do not ask a stream that refuses everything once for each letter, and are left as they are', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => seqOf(n));
    await folder.write(ids.map((_, n) => letter(n)));
    const { requests, fates } = await retried(ids, () => refused('stream'));
    expect(requests.length).toBeLessThanOrEqual(8);
    expect(fates.size).toBe(40);
    expect([...fates.values()].every((fate) => !fate.sent && /^the stream now refuses/.test(fate.reason))).toBe(true);
    expect((await folder.list()).letters.every(({ attempts }) => attempts === 1)).toBe(true);
  });

  test('that are damaged stay, and the others go', async () => {
    await folder.write([letter(1), letter(2)]);
    writeFileSync(folder.pathOf(seqOf(1)), 'damaged');
    const { fates } = await retried([seqOf(1), seqOf(2)], () => ACCEPTED);
    expect(fates.get(seqOf(1))).toMatchObject({ sent: false, reason: expect.stringContaining('cannot read') });
    expect(fates.get(seqOf(2))).toMatchObject({ sent: true });
    expect(await folder.ids()).toEqual([seqOf(1)]);
  });

  test('stay as they are when a signal ends it, but what was accepted before is gone', async () => {
    const ids = Array.from({ length: 30 }, (_, n) => seqOf(n));
    await folder.write(ids.map((_, n) => letter(n)));
    const { fates } = await retried(ids, (_, call) => {
      if (call < 3) return ACCEPTED;
      ending.controller.abort();
      return { kind: 'unknown', reason: 'AbortError' };
    });
    const sent = [...fates].filter(([, fate]) => fate.sent).map(([seq]) => seq);
    expect(sent).toHaveLength(2);
    expect(await folder.ids()).toEqual(ids.filter((seq) => !sent.includes(seq)));
    expect((await folder.list()).letters.every(({ attempts }) => attempts === 1)).toBe(true);
  });
});
