import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Table } from '../../src/model/table.ts';
import type { RecordOutcome, Sink, SinkRecord } from '../../src/sinks/sink.ts';

const TABLE: Table = { schema: 'shop', name: 'orders', columns: [], key: [] };

/** What goes wrong on the other side of a sink; each subject provokes it in its own way. */
export type SinkFault =
  /** The second record of each request fails and is not stored, the others are stored. */
  | 'second record throttled'
  | 'request throttled'
  /** The request is stored, and the connection is cut instead of the response. */
  | 'response lost'
  | 'connection reset'
  /** The request is stored, and its response stalls half way. */
  | 'response stalls'
  /** No response comes, and nothing is stored. */
  | 'no response'
  /** The response has no result for one of the records. */
  | 'result missing'
  /** A record that contains `poison` is rejected with its whole request. */
  | 'poison';

/** A sink, and the transport behind it. */
export interface SinkSubject {
  /** Sends to a stream that exists. It gives up on a request without a response within some seconds. */
  sink: Sink;
  /** A sink of a stream that does not exist. */
  withoutStream: Sink;
  /** What is stored, a buffer for each record, in the order of its arrival. */
  stored: () => Buffer[] | Promise<Buffer[]>;
  /** Faults that this transport does not have. */
  impossible?: readonly SinkFault[];
  setFault: (fault: SinkFault | undefined) => void;
  close: () => Promise<void>;
}

/**
 * The contract of src/sinks/sink.ts, as tests. Every sink passes them, in front of its real transport or a local one.
 * What a test cannot see (that a sink sends once, for example) is seen by how often a record is stored.
 */
export function sinkContract(name: string, open: () => Promise<SinkSubject>): void {
  describe(`the sink of ${name}`, () => {
    let subject: SinkSubject;
    beforeEach(async () => {
      subject = await open();
    });
    afterEach(() => subject.close());

    const { signal } = new AbortController();
    const send = (...texts: string[]): Promise<RecordOutcome[]> => subject.sink.send(texts.map(record), signal);
    const record = (text: string): SinkRecord => {
      const bytes = Buffer.from(text);
      const half = bytes.length >> 1;
      const buffers = [bytes.subarray(0, half), bytes.subarray(half)];
      return subject.sink.needsKeys
        ? { buffers, events: [{ key: Buffer.from('{"id":1}'), table: TABLE, op: 'c' }] }
        : { buffers };
    };
    const storedTexts = async (): Promise<string[]> => (await subject.stored()).map(String);
    const kinds = (outcomes: readonly RecordOutcome[]): string[] => outcomes.map(({ kind }) => kind);

    test('stores the records of a request whole and in their order, and reports each as accepted', async () => {
      expect(await send('a\n', 'b1\nb2\n', 'ü\n')).toEqual([
        { kind: 'accepted' },
        { kind: 'accepted' },
        { kind: 'accepted' },
      ]);
      expect(await storedTexts()).toEqual(['a\n', 'b1\nb2\n', 'ü\n']);
    });

    test('accepts requests up to each of its limits', async () => {
      const { maxRecords, maxRecordBytes, maxRequestBytes } = subject.sink.limits;
      const line = (length: number): string => `${'x'.repeat(length - 1)}\n`;
      const count = Math.min(maxRecords, 600);
      expect(new Set(kinds(await send(...Array.from({ length: count }, () => line(2)))))).toEqual(
        new Set(['accepted']),
      );
      expect(kinds(await send(line(maxRecordBytes)))).toEqual(['accepted']);
      const full = Math.floor(maxRequestBytes / maxRecordBytes);
      const rest = maxRequestBytes - full * maxRecordBytes;
      const sizes = [...Array.from({ length: full }, () => maxRecordBytes), ...(rest > 0 ? [rest] : [])];
      expect(new Set(kinds(await send(...sizes.map(line))))).toEqual(new Set(['accepted']));
      expect(await subject.stored()).toHaveLength(count + 1 + sizes.length);
    });

    test('reports a partial failure record by record, and sends nothing again by itself', async () => {
      if (subject.impossible?.includes('second record throttled')) return;
      subject.setFault('second record throttled');
      expect(kinds(await send('a\n', 'b\n', 'c\n'))).toEqual(['accepted', 'throttled', 'accepted']);
      subject.setFault(undefined);
      expect(await storedTexts()).toEqual(['a\n', 'c\n']);
    });

    test.each([
      ['request throttled', 'throttled', 0],
      ['connection reset', 'unknown', 0],
      ['no response', 'unknown', 0],
      ['response lost', 'unknown', 2],
      ['response stalls', 'unknown', 2],
      ['result missing', 'unknown', 2],
    ] as const)(
      'after "%s" reports every record as %s with a reason, and the next request is accepted',
      async (fault, kind, stored) => {
        subject.setFault(fault);
        const outcomes = await send('a\n', 'b\n');
        expect(kinds(outcomes)).toEqual([kind, kind]);
        for (const outcome of outcomes) expect('reason' in outcome && outcome.reason).toBeTruthy();
        subject.setFault(undefined);
        expect(await storedTexts()).toHaveLength(stored);
        expect(await send('c\n')).toEqual([{ kind: 'accepted' }]);
        expect((await storedTexts()).at(-1)).toBe('c\n');
      },
    );

    test('reports a request that the transport rejects for one record with what to do, and stores nothing of it', async () => {
      subject.setFault('poison');
      const outcomes = await send('sound\n', 'poison\n');
      const rejected = { kind: 'rejected', reason: expect.stringMatching(/./), hint: expect.stringMatching(/./) };
      expect(outcomes.map((outcome) => ({ ...outcome }))).toEqual([
        { ...rejected, scope: 'request' },
        { ...rejected, scope: 'request' },
      ]);
      expect(await storedTexts()).toEqual([]);
      expect(kinds(await send('sound\n'))).toEqual(['accepted']);
    });

    test('reports a stream that does not exist as rejected as a whole', async () => {
      expect(await subject.withoutStream.send([record('a\n')], signal)).toEqual([
        { kind: 'rejected', scope: 'stream', reason: expect.stringMatching(/./), hint: expect.stringMatching(/./) },
      ]);
    });

    test('ends a request without a response when its signal aborts, and reports it as unknown', async () => {
      subject.setFault('no response');
      const abort = new AbortController();
      const outcome = subject.sink.send([record('a\n')], abort.signal);
      setTimeout(() => abort.abort(), 20);
      expect(kinds(await outcome)).toEqual(['unknown']);
      expect(kinds(await subject.sink.send([record('b\n')], abort.signal))).toEqual(['unknown']);
      expect(await storedTexts()).toEqual([]);
    });

    test.each([
      undefined,
      'second record throttled',
      'response lost',
      'connection reset',
      'response stalls',
      'no response',
      'result missing',
    ] as const)('no longer reads the buffers of a request that has resolved (fault: %s)', async (fault) => {
      const sent = Array.from({ length: 40 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(20_000 + i));
      if (fault !== undefined && subject.impossible?.includes(fault)) return;
      subject.setFault(fault);
      const requests = [0, 1, 2, 3].map(async (request) => {
        const records = sent.slice(request * 10, request * 10 + 10).map((text) => record(`${text}\n`));
        await subject.sink.send(records, signal);
        // Delivery writes the next events over them.
        for (const { buffers } of records) for (const buffer of buffers) buffer.fill('!');
      });
      await Promise.all(requests);
      subject.setFault(undefined);
      // The bodies of these requests take the memory of those before.
      await Promise.all(requests.map(() => send(...sent.slice(0, 10).map((text) => `${text}\n`))));
      const known = new Set(sent.map((text) => `${text}\n`));
      const texts = await storedTexts();
      expect(texts.filter((text) => !known.has(text))).toEqual([]);
      expect(texts.length).toBeGreaterThanOrEqual(40);
    });

    test('leaves the bytes that it encodes unchanged', async () => {
      const { encodeRecord } = subject.sink;
      if (encodeRecord === undefined) return;
      const given = [Buffer.from('a\n'), Buffer.from('b\n')];
      const encoded = await encodeRecord(given);
      expect(given.map(String)).toEqual(['a\n', 'b\n']);
      expect(kinds(await subject.sink.send([{ buffers: encoded }], signal))).toEqual(['accepted']);
      expect(Buffer.concat(await subject.stored()).equals(Buffer.concat(encoded))).toBe(true);
    });

    test('has a name for messages', () => {
      expect(subject.sink.service).toMatch(/^[A-Z]\w+( \w+)*$/);
    });
  });
}
