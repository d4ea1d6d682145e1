import { Delivery, type DeliveryOptions } from '../../../src/delivery/delivery.ts';
import { GtidSet } from '../../../src/model/gtid-set.ts';
import { ReplicationPosition } from '../../../src/model/replication-position.ts';
import type { Transaction } from '../../../src/model/rows-event.ts';
import type { Quota, RecordOutcome, Sink, SinkLimits, SinkRecord } from '../../../src/sinks/sink.ts';
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
/** The request is refused, perhaps for one event in it. */
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

/** A request that waits for the script to tell what became of it. */
export interface Request {
  /** The lines of each record. */
  records: string[][];
  sizes: number[];
  /** Answers with one outcome for all records, or one for each. */
  answer(outcomes: RecordOutcome | readonly RecordOutcome[]): void;
  break(error: unknown): void;
}

/** A sink whose every answer is given by the test. */
export class ScriptedSink implements Sink {
  readonly service = 'Firehose';
  readonly needsKeys = false;
  readonly limits: SinkLimits;
  /** Requests without an answer, oldest first. */
  readonly open: Request[] = [];
  /** Lines of the records that were accepted, in the order of their acceptance. */
  readonly stored: string[] = [];
  requests = 0;

  constructor(limits: Partial<SinkLimits> = {}) {
    this.limits = { maxRecords: 500, maxRecordBytes: 1_024_000, maxRequestBytes: 4_000_000, ...limits };
  }

  send(records: readonly SinkRecord[]): Promise<RecordOutcome[]> {
    this.requests++;
    // As the wire does it: what is sent is what the bytes are now.
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

/** The transaction with this number, and the XA transaction that it ends. */
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
    preparedTransaction,
  };
}

export const withGtids = (): ReplicationPosition =>
  new ReplicationPosition(new GtidSet(), { file: 'binlog.000001', position: 4 });
export const withCoordinates = (): ReplicationPosition =>
  new ReplicationPosition(undefined, { file: 'binlog.000001', position: 4 });

interface HarnessOptions extends Partial<DeliveryOptions> {
  limits?: Partial<SinkLimits>;
  quota?: Quota;
  /** Where delivery starts. */
  delivered?: ReplicationPosition;
}

/** A delivery into a scripted sink, and all that it told. */
export class DeliveryHarness {
  readonly sink: ScriptedSink;
  /** The sink of a second stream, where lines go that begin with ~. */
  readonly secondSink: ScriptedSink;
  readonly delivery: Delivery;
  readonly backpressure: boolean[] = [];
  readonly fatalErrors: string[] = [];
  /** The delivered position each time that it moved. */
  readonly moves: string[] = [];

  /** Events that were set aside: their line and the reason. */
  readonly deadLettered: [line: string, reason: string][] = [];

  constructor(options: HarnessOptions = {}) {
    const { limits, quota, delivered = withGtids(), ...rest } = options;
    this.sink = new ScriptedSink(limits);
    this.secondSink = new ScriptedSink(limits);
    this.delivery = new Delivery({
      targets: [
        { name: 'first', sink: this.sink, quota },
        { name: 'other', sink: this.secondSink, quota },
      ],
      start: delivered,
      aggregation: { maxEvents: 500, maxBytes: 512 * 1024 },
      lingerMs: 100,
      deadLetter: async ({ event, reason }) => {
        this.deadLettered.push([event.toString().trimEnd(), reason]);
      },
      onBackpressure: (paused) => this.backpressure.push(paused),
      onDelivered: () => this.moves.push(this.deliveredText),
      onFatal: (error) => this.fatalErrors.push(error.message),
      ...rest,
    });
  }

  /** What counts as delivered: the numbers of the GTID set, or the position. */
  get deliveredText(): string {
    const { gtids, position } = this.delivery.delivered;
    return gtids === undefined ? String(position) : gtids.toString().replace(`${UUID}:`, '');
  }

  /** Appends lines to the open transaction; a line begins with the digit or letter that is its key. */
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
}

/** Keys of different characters are in different lanes. */
const keyHash = (line: string): number => line.replace('~', '').charCodeAt(0) - 48;
