import type { RecordBuffers } from '../sinks/sink.ts';
import type { Lane } from './lane.ts';

/** How events become records: several in one, or each by itself. */
export type Aggregation = { maxEvents: number; maxBytes: number } | 'off';

/**
 * What settles together on its way: one record with the slices of some lanes or, where each event is a record, a run
 * of records of one lane.
 */
export interface Batch {
  records: RecordBuffers[];
  lanes: Lane[];
  events: number;
  bytes: number;
}

/** Packs the slices of lanes into one request: as few records as hold them. */
export class BatchBuilder {
  readonly #aggregation: Aggregation;
  readonly #maxRecordBytes: number;
  readonly #parcels: Batch[] = [];
  /** The record that may still take a slice. */
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

  get parcels(): Batch[] {
    return this.#parcels;
  }

  /** Whether what waits in the lane fits into the record that is open. */
  fitsOpenRecord(lane: Lane): boolean {
    const { waitingBytes, waitingEvents } = lane;
    return (
      this.#aggregation !== 'off' &&
      this.#open !== undefined &&
      this.#open.bytes + waitingBytes <= this.#aggregation.maxBytes &&
      this.#open.events + waitingEvents <= this.#aggregation.maxEvents
    );
  }

  /** Takes from the lane what fits into one record and `maxBytes`; without aggregation, into `maxRecords` records. */
  add(lane: Lane, maxBytes: number, maxRecords: number, maxEvents = Number.POSITIVE_INFINITY): void {
    if (this.#aggregation === 'off') {
      const bytes = lane.startFlight(maxBytes, Math.min(maxRecords, maxEvents), this.#maxRecordBytes);
      const records = lane.inFlightByEvent().map((event) => [event]);
      this.#push({ records, lanes: [lane], events: records.length, bytes });
      return;
    }
    const joins = this.fitsOpenRecord(lane);
    const bytes = lane.startFlight(
      Math.min(this.#aggregation.maxBytes, maxBytes),
      Math.min(this.#aggregation.maxEvents, maxEvents),
    );
    if (joins && this.#open !== undefined) {
      this.#open.records[0] = [...(this.#open.records[0] as RecordBuffers), ...lane.inFlightBuffers()];
      this.#open.lanes.push(lane);
      this.#open.events += lane.inFlightEvents;
      this.#open.bytes += bytes;
      this.#bytes += bytes;
      return;
    }
    this.#open = { records: [lane.inFlightBuffers()], lanes: [lane], events: lane.inFlightEvents, bytes };
    this.#push(this.#open);
  }

  #push(parcel: Batch): void {
    this.#parcels.push(parcel);
    this.#records += parcel.records.length;
    this.#bytes += parcel.bytes;
  }
}
