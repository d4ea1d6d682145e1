import type { Aggregation, RecordEvent, Sink, SinkRecord } from '../sinks/sink.ts';
import type { Lane } from './lane.ts';

/**
 * Records that settle together: one record with slices of some lanes or, without aggregation, a run of records of one
 * lane.
 */
export interface Batch {
  records: SinkRecord[];
  /** Of a run: which event of the flight each record is. Those between them are stored already. */
  places?: number[];
  lanes: Lane[];
  events: number;
  bytes: number;
}

/** Puts slices of lanes in flight and packs them into the batches of one request, in as few records as possible. */
export class RequestBuilder {
  readonly #aggregation: Aggregation;
  readonly #sink: Pick<Sink, 'limits' | 'isLog' | 'oneRecordPerKey' | 'pacer'>;
  readonly #now: number;
  readonly #batches: Batch[] = [];
  /** The batch whose record has room for another slice. */
  #open: Batch | undefined;
  #records = 0;
  #bytes = 0;
  #delayMs = Number.POSITIVE_INFINITY;

  /** @param now milliseconds of `performance.now()` */
  constructor(
    aggregation: Aggregation,
    sink: Pick<Sink, 'limits' | 'isLog' | 'oneRecordPerKey' | 'pacer'>,
    now: number,
  ) {
    this.#aggregation = aggregation;
    this.#sink = sink;
    this.#now = now;
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

  /** Milliseconds until the first partition that is full takes a record again; Infinity if none is full. */
  get delayMs(): number {
    return this.#delayMs;
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
    if (this.#aggregation === 'off') return this.#addRun(lane, maxBytes, Math.min(maxRecords, maxEvents));
    const { aggregation, joins } = { aggregation: this.#aggregation, joins: this.fitsOpenRecord(lane) };
    const bytes = lane.startFlight(
      Math.min(aggregation.maxBytes, maxBytes),
      Math.min(aggregation.maxEvents, maxEvents),
    );
    if (this.#sink.isLog) return this.#addOfLane(lane, bytes);
    const slice = sinkRecord(lane.inFlightBuffers(), lane.oldestEvents(lane.inFlightEvents));
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

  /** A record for each of the oldest events, up to the first that the transport does not take in this request. */
  #addRun(lane: Lane, maxBytes: number, maxRecords: number): void {
    const { limits, oneRecordPerKey } = this.#sink;
    lane.startFlight(maxBytes, maxRecords, limits.maxRecordBytes);
    const events = lane.oldestEvents(lane.inFlightEvents);
    const keys = oneRecordPerKey ? new Set<string>() : undefined;
    const records: SinkRecord[] = [];
    const places: number[] = [];
    let bytes = 0;
    let taken = 0;
    for (const [i, line] of lane.inFlightByEvent().entries()) {
      if (lane.isStored(i)) {
        taken++;
        continue;
      }
      const event = events?.[i];
      if (keys !== undefined && event !== undefined && !isFirst(keys, event)) break;
      const record = this.#recordOf(lane, [line], event && [event]);
      if (!this.#admits(record)) break;
      records.push(record);
      places.push(i);
      bytes += line.length;
      taken++;
    }
    lane.shortenFlight(taken);
    if (records.length > 0) this.#push({ records, places, lanes: [lane], events: records.length, bytes });
  }

  #addOfLane(lane: Lane, bytes: number): void {
    const events = lane.oldestEvents(lane.inFlightEvents);
    const record = this.#recordOf(lane, lane.inFlightByEvent(), events);
    if (!this.#admits(record)) return lane.shortenFlight(0);
    this.#push({ records: [record], lanes: [lane], events: lane.inFlightEvents, bytes });
  }

  /** A record with events of one lane. */
  #recordOf(lane: Lane, buffers: SinkRecord['buffers'], events: readonly RecordEvent[] | undefined): SinkRecord {
    if (!this.#sink.isLog) return sinkRecord(buffers, events);
    return events === undefined ? { buffers, lane: lane.number } : { buffers, events, lane: lane.number };
  }

  #admits(record: SinkRecord): boolean {
    const delay = this.#sink.pacer?.admit(record, this.#now) ?? 0;
    if (delay > 0) this.#delayMs = Math.min(this.#delayMs, delay);
    return delay === 0;
  }

  #push(batch: Batch): void {
    this.#batches.push(batch);
    this.#records += batch.records.length;
    this.#bytes += batch.bytes;
  }
}

/** Whether no event of its key is in the set; adds it. */
function isFirst(keys: Set<string>, { key, table }: RecordEvent): boolean {
  const before = keys.size;
  return keys.add(`${table.schema}\0${table.name}\0${key.toString('latin1')}`).size > before;
}

const sinkRecord = (buffers: SinkRecord['buffers'], events: readonly RecordEvent[] | undefined): SinkRecord =>
  events === undefined ? { buffers } : { buffers, events };

const joined = (record: SinkRecord, slice: SinkRecord): SinkRecord =>
  sinkRecord(
    [...record.buffers, ...slice.buffers],
    record.events && slice.events && [...record.events, ...slice.events],
  );
