import { afterEach, beforeEach, vi } from 'vitest';
import { Delivery, type DeliveryOptions } from '../../../src/delivery/delivery.ts';
import { GtidSet } from '../../../src/model/gtid-set.ts';
import { ReplicationPosition } from '../../../src/model/replication-position.ts';
import type { Transaction } from '../../../src/model/rows-event.ts';
import type { Aggregation, Quota, RecordOutcome, Sink, SinkLimits, SinkRecord } from '../../../src/sinks/sink.ts';
import { encodedEvent } from '../../encoded-event.ts';

export const ACCEPTED: RecordOutcome = { kind: 'accepted' };
export const THROTTLED: RecordOutcome = { kind: 'throttled', reason: 'slow down' };
export const UNKNOWN: RecordOutcome = { kind: 'unknown', reason: 'time-out' };
export const STREAM_REJECTED: RecordOutcome = {
  kind: 'rejected',
  scope: 'stream',
  reason: 'no such stream',
  hint: 'make one',
};
/** The request is rejected, possibly because of a single event in it. */
export const REQUEST_REJECTED: RecordOutcome = {
  kind: 'rejected',
  scope: 'request',
  reason: 'not valid',
  hint: 'see the reason',
};
export const RECORD_REJECTED: RecordOutcome = {
  kind: 'rejected',
  scope: 'record',
  reason: 'not valid',
  hint: 'see the reason',
};

/** Records of at most this many events and 512 KiB. */
export const eventsPerRecord = (maxEvents: number): Aggregation => ({ maxEvents, maxBytes: 512 * 1024 });
export const ONE_PER_RECORD = eventsPerRecord(1);

/** Runs each test of the file under virtual time, and undoes what it mocked. */
export function useVirtualTime(): void {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
}

export const advanceMs = (ms: number) => vi.advanceTimersByTimeAsync(ms);

export const repeatText = (count: number, text: (i: number) => string): string[] =>
  Array.from({ length: count }, (_, i) => text(i));

/** A line of the key with this number. */
export const lineOfKey = (key: number, text: string): string => `${String.fromCharCode(48 + key)}${text}`;

/** One outcome for all records of a request, or one for each. */
type Outcomes = RecordOutcome | readonly RecordOutcome[];

/** A request that waits until the test answers it. */
export interface Request {
  /** The lines of each record. */
  records: string[][];
  /** The bytes of each record. */
  sizes: number[];
  answer(outcomes: Outcomes): void;
  /** Makes `send` reject, which a sink must never do. */
  break(error: unknown): void;
}

/** A sink whose every answer is given by the test. */
export class ScriptedSink implements Sink {
  readonly service = 'Firehose';
  readonly needsKeys = false;
  readonly limits: SinkLimits;
  obstacle?: NonNullable<Sink['obstacle']>;
  readonly encodeRecord?: NonNullable<Sink['encodeRecord']>;
  /** Requests without an answer, oldest first. */
  readonly open: Request[] = [];
  /** Lines of the accepted records, in the order of their acceptance. */
  readonly stored: string[] = [];
  requests = 0;

  constructor(limits: Partial<SinkLimits> = {}, encodeRecord?: Sink['encodeRecord']) {
    this.limits = { maxRecords: 500, maxRecordBytes: 1_024_000, maxRequestBytes: 4_000_000, ...limits };
    if (encodeRecord) this.encodeRecord = encodeRecord;
  }

  /** @throws Error when no request is open */
  get oldest(): Request {
    const [request] = this.open;
    if (request === undefined) throw new Error('no request is open');
    return request;
  }

  /** Answers the oldest request. Resolves after delivery has settled the answer. */
  async answerOldest(outcomes: Outcomes): Promise<void> {
    this.oldest.answer(outcomes);
    await advanceMs(0);
  }

  /** Answers every open request. Resolves after delivery has settled the answers. */
  async answerAll(answer: (request: Request) => Outcomes): Promise<void> {
    for (const request of [...this.open]) request.answer(answer(request));
    await advanceMs(0);
  }

  /** Advances 100 ms (the linger time) and answers every open request, again and again. Returns their number. */
  async answerRounds(rounds: number, answer: (request: Request) => Outcomes): Promise<number> {
    let requests = 0;
    for (let i = 0; i < rounds; i++) {
      await advanceMs(100);
      for (const request of [...this.open]) {
        requests++;
        request.answer(answer(request));
      }
    }
    await advanceMs(0);
    return requests;
  }

  send(records: readonly SinkRecord[]): Promise<RecordOutcome[]> {
    this.requests++;
    // Copied now, as a socket does: delivery can reuse the buffers after the answer.
    const texts = records.map(({ buffers }) => Buffer.concat(buffers).toString().split('\n').slice(0, -1));
    return new Promise((resolve, reject) => {
      const request: Request = {
        records: texts,
        sizes: records.map(({ buffers }) => Buffer.concat(buffers).length),
        answer: (outcomes) => {
          this.open.splice(this.open.indexOf(request), 1);
          const each = 'kind' in outcomes ? texts.map(() => outcomes) : [...outcomes];
          texts.forEach((lines, i) => {
            if (each[i]?.kind === 'accepted') this.stored.push(...lines);
          });
          resolve(each);
        },
        break: (error) => {
          this.open.splice(this.open.indexOf(request), 1);
          reject(error);
        },
      };
      this.open.push(request);
    });
  }

  close(): void {}
}

export const UUID = '11111111-1111-1111-1111-111111111111';

/** The transaction with this number. `preparedTransaction` is the XA transaction that it ends. */
export function transaction(gtidNumber: number, preparedTransaction?: Transaction): Transaction {
  return {
    gtid: `${UUID}:${gtidNumber}`,
    gtidSource: UUID,
    gtidNumber,
    file: 'binlog.000001',
    fileNumber: 1,
    position: gtidNumber * 100,
    endPosition: gtidNumber * 100 + 100,
    serverId: 1,
    committedAt: 0,
    originalCommit: 0,
    fileCreated: 0,
    lastEvent: 0,
    lastEventDigest: 0,
    preparedTransaction,
  };
}

export const withGtids = (): ReplicationPosition =>
  new ReplicationPosition(new GtidSet(), { file: 'binlog.000001', position: 4 });
export const withCoordinates = (): ReplicationPosition =>
  new ReplicationPosition(undefined, { file: 'binlog.000001', position: 4 });

interface HarnessOptions extends Partial<DeliveryOptions> {
  aggregation?: Aggregation;
  lingerMs?: number;
  limits?: Partial<SinkLimits>;
  quota?: Quota;
  encodeRecord?: Sink['encodeRecord'];
  /** The start position of delivery. */
  delivered?: ReplicationPosition;
}

/** A delivery into two scripted sinks, and everything that it reports. */
export class DeliveryHarness {
  readonly sink: ScriptedSink;
  /** The sink of a second stream, which receives the lines that begin with ~. */
  readonly secondSink: ScriptedSink;
  readonly delivery: Delivery;
  readonly backpressure: boolean[] = [];
  readonly fatalErrors: string[] = [];
  /** The delivered position after each of its moves. */
  readonly moves: string[] = [];
  /** Events that were moved to the dead letters: their line and the reason. */
  readonly deadLettered: [line: string, reason: string][] = [];

  constructor(options: HarnessOptions = {}) {
    const { limits, quota, encodeRecord, delivered = withGtids(), ...others } = options;
    const { aggregation = eventsPerRecord(500), lingerMs = 100, ...rest } = others;
    const shared = { quota, aggregation, lingerMs };
    this.sink = new ScriptedSink(limits, encodeRecord);
    this.secondSink = new ScriptedSink(limits, encodeRecord);
    this.delivery = new Delivery({
      targets: [
        { name: 'first', sink: this.sink, ...shared },
        { name: 'other', sink: this.secondSink, ...shared },
      ],
      start: delivered,
      deadLetter: async ({ event, reason }) => {
        this.deadLettered.push([event.toString().trimEnd(), reason]);
      },
      onBackpressure: (paused) => this.backpressure.push(paused),
      onDelivered: () => this.moves.push(this.deliveredText),
      onFatal: (error) => this.fatalErrors.push(error.message),
      ...rest,
    });
  }

  /** The delivered position: the numbers of the GTID set, or the binlog position. */
  get deliveredText(): string {
    const { gtids, position } = this.delivery.delivered;
    return gtids === undefined ? String(position) : gtids.toString().replace(`${UUID}:`, '');
  }

  /** Appends lines to the open transaction. The first character of a line is its key. */
  lines(...lines: string[]): this {
    for (const line of lines) {
      this.delivery.append(line.startsWith('~') ? 1 : 0, encodedEvent(`${line}\n`, '', keyHash(line)));
    }
    return this;
  }

  commit(number: number, ends?: Transaction): this {
    this.delivery.commit(transaction(number, ends));
    return this;
  }

  /** Accepts every open request of the first stream. */
  async acceptAll(): Promise<void> {
    await this.sink.answerAll(() => ACCEPTED);
  }

  /** Advances 100 ms (the linger time) and accepts every open request of the first stream, again and again. */
  async acceptRounds(rounds: number): Promise<void> {
    await this.sink.answerRounds(rounds, () => ACCEPTED);
  }
}

/** Different keys are in different lanes. */
const keyHash = (line: string): number => line.replace('~', '').charCodeAt(0) - 48;
