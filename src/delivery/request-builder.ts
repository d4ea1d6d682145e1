import type { SinkRecord } from '../sinks/sink.ts';
import type { Lane } from './lane.ts';

/** How events become records: up to this many events and bytes in one record, or each event on its own. */
export type Aggregation = { maxEvents: number; maxBytes: number } | 'off';

/**
 * Records that settle together: one record with slices of some lanes or, without aggregation, a run of records of one
 * lane.
 */
export interface Batch {
  records: SinkRecord[];
  lanes: Lane[];
  events: number;
  bytes: number;
}

/** Puts slices of lanes in flight and packs them into the batches of one request, in as few records as possible. */
export class RequestBuilder {
  readonly #aggregation: Aggregation;
  readonly #maxRecordBytes: number;
  readonly #batches: Batch[] = [];
  /** The batch whose record has room for another slice. */
  #open: Batch | undefined;
  #records = 0;
  #bytes = 0;

  constructor(aggregation: Aggregation, maxRecordBytes: number) {
    this.#aggregation = aggregation;
    this.#maxRecordBytes = maxRecordBytes;
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get batches(): Batch[] {
    return this.#batches;
  }

  /** Whether all waiting events of the lane fit into the open record. */
  fitsOpenRecord(lane: Lane): boolean {
    const { waitingBytes, waitingEvents } = lane;
    return (
      this.#aggregation !== 'off' &&
      this.#open !== undefined &&
      this.#open.bytes + waitingBytes <= this.#aggregation.maxBytes &&
      this.#open.events + waitingEvents <= this.#aggregation.maxEvents
    );
  }

  /** Adds events of the lane up to one record and `maxBytes`; without aggregation, up to `maxRecords` records. */
  add(lane: Lane, maxBytes: number, maxRecords: number, maxEvents = Number.POSITIVE_INFINITY): void {
    if (this.#aggregation === 'off') {
      const bytes = lane.startFlight(maxBytes, Math.min(maxRecords, maxEvents), this.#maxRecordBytes);
      const keys = lane.inFlightKeys();
      const records = lane.inFlightByEvent().map((line, i) => sinkRecord([line], keys && [keys[i] as Buffer]));
      this.#push({ records, lanes: [lane], events: records.length, bytes });
      return;
    }
    const joins = this.fitsOpenRecord(lane);
    const bytes = lane.startFlight(
      Math.min(this.#aggregation.maxBytes, maxBytes),
      Math.min(this.#aggregation.maxEvents, maxEvents),
    );
    const slice = sinkRecord(lane.inFlightBuffers(), lane.inFlightKeys());
    if (joins && this.#open !== undefined) {
      this.#open.records[0] = joined(this.#open.records[0] as SinkRecord, slice);
      this.#open.lanes.push(lane);
      this.#open.events += lane.inFlightEvents;
      this.#open.bytes += bytes;
      this.#bytes += bytes;
      return;
    }
    this.#open = { records: [slice], lanes: [lane], events: lane.inFlightEvents, bytes };
    this.#push(this.#open);
  }

  #push(batch: Batch): void {
    this.#batches.push(batch);
    this.#records += batch.records.length;
    this.#bytes += batch.bytes;
  }
}

const sinkRecord = (buffers: SinkRecord['buffers'], keys: readonly Buffer[] | undefined): SinkRecord =>
  keys === undefined ? { buffers } : { buffers, keys };

const joined = (record: SinkRecord, slice: SinkRecord): SinkRecord =>
  sinkRecord([...record.buffers, ...slice.buffers], record.keys && slice.keys && [...record.keys, ...slice.keys]);
