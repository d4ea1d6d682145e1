import type { Lane } from './lane.ts';

/** One record on its way: the slices of the lanes that it holds, and how often it was tried. */
export interface Shipment {
  bytes: Uint8Array;
  lanes: Lane[];
  events: number;
  attempts: number;
}

/** Packs the slices of lanes into as few records as hold them. */
export class Packer {
  readonly #maxBytes: number;
  readonly #maxEvents: number;
  readonly #finished: Shipment[] = [];
  #slices: Buffer[] = [];
  #lanes: Lane[] = [];
  #bytes = 0;
  #events = 0;

  constructor(maxBytes: number, maxEvents: number) {
    this.#maxBytes = maxBytes;
    this.#maxEvents = maxEvents;
  }

  get count(): number {
    return this.#finished.length + (this.#lanes.length > 0 ? 1 : 0);
  }

  fits(lane: Lane): boolean {
    return (
      this.#lanes.length > 0 &&
      this.#bytes + lane.waitingBytes <= this.#maxBytes &&
      this.#events + lane.waitingEvents <= this.#maxEvents
    );
  }

  /** Takes what fits into one record from the lane. Returns its bytes. */
  add(lane: Lane): number {
    if (!this.fits(lane)) this.#close();
    const { bytes, events } = lane.take(this.#maxBytes, this.#maxEvents);
    this.#slices.push(bytes);
    this.#lanes.push(lane);
    this.#bytes += bytes.length;
    this.#events += events;
    return bytes.length;
  }

  finish(): Shipment[] {
    this.#close();
    return this.#finished;
  }

  #close(): void {
    const [first] = this.#slices;
    if (first === undefined) return;
    const bytes = this.#slices.length === 1 ? first : Buffer.concat(this.#slices, this.#bytes);
    this.#finished.push({ bytes, lanes: this.#lanes, events: this.#events, attempts: 0 });
    this.#slices = [];
    this.#lanes = [];
    this.#bytes = 0;
    this.#events = 0;
  }
}
