import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { type EventFormatName, EventScanner, Op } from '../../lake/event-scanner.ts';
import { spanEquals } from '../../lake/json-scan.ts';
import type { LineBlock } from '../../lake/line-cutter.ts';
import { ObjectDamage, readLines } from '../../lake/object-lines.ts';
import type { LakeObject, LakeStore } from '../../lake/object-store.ts';
import { readAhead } from '../../lake/read-ahead.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { type EventPlace, RecordWriter } from './lake-record.ts';
import type { Partitions } from './partitions.ts';
import { hashBytes, KeyHasher } from './row-key.ts';

/** A part of the lake that cannot be read as events. Lines with the same reason in one object are one entry. */
export interface Damage {
  object: string;
  /** The first line, from 1. */
  line: number;
  lines: number;
  why: string;
}

/** A table whose events are looked for. */
export interface ScannedTable {
  schema: string;
  table: string;
  /** The names of its key columns. */
  key: readonly string[];
}

export interface LakeScanOptions {
  store: LakeStore;
  format: EventFormatName;
  flatPrefix: string;
  tables: readonly ScannedTable[];
  records: Partitions;
  /** Whether records keep the members of the row. */
  withPayload: boolean;
  /** The name that the events of this pipeline have, in the format that names it. */
  pipeline: string;
  /** Whether the pipeline captures a table. */
  isCaptured: (schema: string, table: string) => boolean;
  /** Objects that were written before this time, in milliseconds, are left out. */
  since?: number;
  signal: AbortSignal;
  /** Hears how much of the new objects is read. */
  onProgress?: (done: { fraction: number; objects: number; events: number }) => void;
}

interface ScannedObject extends LakeObject {
  /** Whether the lake still has it as it was read. */
  isLive: boolean;
  events: number;
}

/** The event that empties a table. */
interface Emptied {
  seq: string;
  object: number;
}

/** Numbers of tables that are not compared: of the same pipeline, and others. */
const OTHER = -1;
const FOREIGN = -2;
const LINE_END = 0x0a;
const DAMAGE_MAX = 1_000;
/** How often an update lists the lake if objects are lost between the list and their reading. */
const LISTS_MAX = 3;

/** Reads the objects of a lake, each once, and again if it has changed, into records. */
export class LakeScan {
  readonly damage: Damage[] = [];
  /** Objects that are byte for byte the same as another one. */
  readonly copies: { object: string; of: string }[] = [];
  events = 0;
  /** Events of each compared table, and of tables that are captured and not compared. */
  readonly eventsOf: number[];
  capturedEvents = 0;
  /** The names of these others. */
  readonly others = new Set<string>();
  /** A table, or a pipeline, whose events are in the lake and not of this pipeline; undefined if there is none. */
  foreign: string | undefined;
  /** Called for each record that is added. */
  onRecord: ((record: Buffer, payload: Buffer) => void) | undefined;
  readonly #options: LakeScanOptions;
  readonly #objects: ScannedObject[] = [];
  readonly #numberOf = new Map<string, number>();
  readonly #scanner: EventScanner;
  readonly #record = new RecordWriter();
  readonly #hashers: readonly KeyHasher[];
  readonly #tables = new Map<string, number>();
  readonly #digests = new Map<string, number>();
  readonly #damaged = new Map<string, Damage>();
  readonly #noted = new Map<string, { first: EventPlace; events: number; why: string }>();
  /** The names of the table of the last event, as they are in the line, and its number. */
  #lastNames = '';
  #lastTable = FOREIGN;
  readonly #pipelineName: Buffer;
  #since: number;
  /** For each table the events that empty it. */
  readonly #emptied: Emptied[][];

  constructor(options: LakeScanOptions) {
    const { format, flatPrefix, tables } = options;
    this.#options = options;
    this.#since = options.since ?? 0;
    this.#scanner = new EventScanner(format, flatPrefix);
    this.#hashers = tables.map(({ key }) => new KeyHasher(key));
    this.#emptied = tables.map(() => []);
    this.eventsOf = tables.map(() => 0);
    this.#pipelineName = Buffer.from(JSON.stringify(options.pipeline));
    for (const [i, { schema, table }] of tables.entries()) this.#tables.set(`${schema}\0${table}`, i);
  }

  /** The objects that count. */
  get objects(): number {
    return this.#objects.filter(({ isLive }) => isLive).length;
  }

  isLive(object: number): boolean {
    return (this.#objects[object] as ScannedObject).isLive;
  }

  modifiedAt(object: number): number {
    return (this.#objects[object] as ScannedObject).modifiedAt;
  }

  nameOf(object: number): string {
    return (this.#objects[object] as ScannedObject).name;
  }

  /** Whether objects of all times are read. */
  get isWhole(): boolean {
    return this.#since === 0;
  }

  /** Reads the objects from before `since` too, from now on. */
  async updateWhole(): Promise<void> {
    this.#since = 0;
    await this.update();
  }

  /** Reads the objects that are new or have changed since the last call. Returns how many it read. */
  async update(): Promise<number> {
    let read = 0;
    for (let lists = 1; ; lists++) {
      const { objects, lost } = await this.#readNew();
      read += objects;
      if (lost === 0 || lists === LISTS_MAX) return read;
    }
  }

  async #readNew(): Promise<{ objects: number; lost: number }> {
    const { store, signal, onProgress } = this.#options;
    const since = this.#since;
    const listed = await store.list(signal);
    const names = new Set(listed.map(({ name }) => name));
    for (const object of this.#objects) if (!names.has(object.name)) this.#drop(object);
    const fresh = listed.filter(({ name, version, modifiedAt }) => {
      const known = this.#objects[this.#numberOf.get(name) ?? -1];
      return modifiedAt >= since && !(known?.isLive && known.version === version);
    });
    const total = fresh.reduce((sum, { bytes }) => sum + bytes, 0);
    let done = 0;
    let lost = 0;
    let objects = 0;
    for await (const { object, lines } of readAhead(store, fresh, signal)) {
      signal.throwIfAborted();
      onProgress?.({ fraction: total === 0 ? 0 : done / total, objects: objects++, events: this.events });
      const known = this.#objects[this.#numberOf.get(object.name) ?? -1];
      if (known !== undefined) this.#drop(known);
      if (!(await this.#scan(object, lines))) lost++;
      done += object.bytes;
    }
    return { objects: fresh.length, lost };
  }

  /** Gives the lines at these places, in no order. */
  async fetch(places: readonly EventPlace[], onLine: (place: EventPlace, line: Buffer) => void): Promise<void> {
    const byObject = new Map<number, EventPlace[]>();
    for (const place of places) {
      const others = byObject.get(place.object);
      if (others === undefined) byObject.set(place.object, [place]);
      else others.push(place);
    }
    for (const [number, wanted] of byObject) {
      wanted.sort((a, b) => a.offset - b.offset);
      await this.#fetchFrom(this.#objects[number] as ScannedObject, wanted, onLine);
    }
  }

  /** The seqs of the events that empty each table, in their order. */
  emptiedSeqs(): string[][] {
    return this.#emptied.map((events) => {
      const seqs = events.filter(({ object }) => this.isLive(object)).map(({ seq }) => seq);
      return [...new Set(seqs)].sort();
    });
  }

  /** An event that is no difference and not right either. `nameDamage` finds its line. */
  noteDamage(place: EventPlace, why: string): void {
    const id = `${place.object}\0${why}`;
    const known = this.#noted.get(id);
    if (known === undefined) this.#noted.set(id, { first: place, events: 1, why });
    else {
      known.events++;
      if (place.offset < known.first.offset) known.first = place;
    }
  }

  /** Adds what was noted to the damage, with the first line of each object. */
  async nameDamage(): Promise<void> {
    for (const { first, events, why } of this.#noted.values()) {
      if (!this.isLive(first.object)) continue;
      const line = await this.#lineAt(first);
      if (line !== undefined) this.#addDamage(this.nameOf(first.object), line, why, events);
    }
    this.#noted.clear();
  }

  /** The number of the line at this place, from 1; undefined if the object was replaced or removed meanwhile. */
  async #lineAt({ object, offset }: EventPlace): Promise<number | undefined> {
    const { store, signal } = this.#options;
    let base = 0;
    try {
      for await (const { bytes, firstLine } of readLines(store, this.#objects[object] as ScannedObject, signal)) {
        if (base + bytes.length > offset) {
          let line = firstLine;
          for (let at = 0; (at = bytes.indexOf(LINE_END, at) + 1) > 0 && base + at <= offset; ) line++;
          return line;
        }
        base += bytes.length;
      }
    } catch (error) {
      if (!(error instanceof ObjectDamage)) throw error;
    }
    return undefined;
  }

  #addDamage(object: string, line: number, why: string, lines = 1): void {
    const id = `${object}\0${why}`;
    const known = this.#damaged.get(id);
    if (known !== undefined) known.lines += lines;
    else {
      const damage = { object, line, lines, why };
      this.#damaged.set(id, damage);
      if (this.damage.length < DAMAGE_MAX) this.damage.push(damage);
    }
  }

  #drop(object: ScannedObject): void {
    if (!object.isLive) return;
    object.isLive = false;
    this.events -= object.events;
    for (let i = this.copies.length - 1; i >= 0; i--) {
      const { object: copy, of } = this.copies[i] as { object: string; of: string };
      if (copy === object.name || of === object.name) this.copies.splice(i, 1);
    }
    for (const [id, damage] of this.#damaged) {
      if (damage.object !== object.name) continue;
      this.#damaged.delete(id);
      const at = this.damage.indexOf(damage);
      if (at >= 0) this.damage.splice(at, 1);
    }
  }

  /** Returns false if the object is another one than the one that was listed. */
  async #scan(object: LakeObject, lines: AsyncIterable<LineBlock>): Promise<boolean> {
    const scanned = { ...object, isLive: true, events: 0 };
    const number = this.#objects.push(scanned) - 1;
    this.#numberOf.set(object.name, number);
    const eventsBefore = this.events;
    const digest = createHash('sha1');
    let base = 0;
    try {
      for await (const { bytes, firstLine } of lines) {
        digest.update(bytes);
        this.#scanBlock(object.name, number, base, bytes, firstLine);
        base += bytes.length;
      }
    } catch (error) {
      if (!(error instanceof ObjectDamage)) throw error;
      this.#addDamage(object.name, error.line, error.why);
      return error.kind === 'damaged';
    } finally {
      scanned.events = this.events - eventsBefore;
    }
    if (base === 0) return true;
    const id = digest.digest('binary');
    const same = this.#digests.get(id);
    if (same === undefined || !this.isLive(same)) this.#digests.set(id, number);
    else this.copies.push({ object: object.name, of: this.nameOf(same) });
    return true;
  }

  #scanBlock(object: string, number: number, base: number, bytes: Buffer, firstLine: number): void {
    const isText = isUtf8(bytes);
    let line = firstLine;
    for (let from = 0; from < bytes.length; line++) {
      const end = bytes.indexOf(LINE_END, from);
      const to = end < 0 ? bytes.length : end;
      const why =
        isText || isUtf8(bytes.subarray(from, to)) ? this.#scanLine(bytes, from, to, number, base) : 'it is not UTF-8';
      if (why !== undefined) this.#addDamage(object, line, why);
      from = to + 1;
    }
  }

  #scanLine(bytes: Buffer, from: number, to: number, object: number, base: number): string | undefined {
    const scanner = this.#scanner;
    const why = scanner.scan(bytes, from, to);
    if (why !== undefined) return why;
    this.events++;
    const { pipelineFrom, pipelineTo } = scanner;
    if (pipelineTo > 0 && !spanEquals(bytes, pipelineFrom, pipelineTo, this.#pipelineName)) {
      this.foreign ??= `the pipeline ${bytes.toString('utf8', pipelineFrom, pipelineTo)}`;
      return 'it is an event of another pipeline';
    }
    const table = this.#tableOf(bytes);
    if (table === OTHER) this.capturedEvents++;
    if (table < 0) return undefined;
    this.eventsOf[table] = (this.eventsOf[table] as number) + 1;
    const record = this.#record;
    record.setSeq(bytes, scanner.seqFrom);
    if (scanner.op === Op.emptied) {
      (this.#emptied[table] as Emptied[]).push({ seq: record.seq, object });
      return undefined;
    }
    const key =
      scanner.keyTo === 0
        ? undefined
        : (this.#hashers[table] as KeyHasher).ofObject(bytes, scanner.keyFrom, scanner.keyTo);
    if (key === undefined) return 'it lacks the key columns of its table';
    const hasRow = scanner.op === Op.row;
    const row = hasRow ? bytes.subarray(scanner.rowFrom, scanner.rowTo) : NO_ROW;
    record.set(table, scanner.op, scanner.partial, key, hasRow ? hashBytes(row) : '');
    const payload = this.#options.withPayload ? row : NO_ROW;
    record.setPlace(object, base + from, to - from, payload.length);
    this.#options.records.add(key.charCodeAt(0), record.bytes, payload);
    this.onRecord?.(record.bytes, payload);
    return undefined;
  }

  #tableOf(bytes: Buffer): number {
    const { schemaFrom, schemaTo, tableFrom, tableTo } = this.#scanner;
    const names = bytes.toString('latin1', schemaFrom, schemaTo) + bytes.toString('latin1', tableFrom, tableTo);
    if (names === this.#lastNames) return this.#lastTable;
    const schema = JSON.parse(bytes.toString('utf8', schemaFrom, schemaTo)) as string;
    const table = JSON.parse(bytes.toString('utf8', tableFrom, tableTo)) as string;
    this.#lastNames = names;
    const number = this.#tables.get(`${schema}\0${table}`);
    if (number !== undefined) return (this.#lastTable = number);
    if (this.#options.isCaptured(schema, table)) {
      this.others.add(formatTableName(schema, table));
      return (this.#lastTable = OTHER);
    }
    this.foreign ??= formatTableName(schema, table);
    return (this.#lastTable = FOREIGN);
  }

  async #fetchFrom(
    object: ScannedObject,
    wanted: readonly EventPlace[],
    onLine: (place: EventPlace, line: Buffer) => void,
  ): Promise<void> {
    const { store, signal } = this.#options;
    let base = 0;
    let next = 0;
    try {
      for await (const { bytes } of readLines(store, object, signal)) {
        for (; next < wanted.length; next++) {
          const place = wanted[next] as EventPlace;
          const from = place.offset - base;
          if (from >= bytes.length) break;
          onLine(place, bytes.subarray(from, from + place.length));
        }
        base += bytes.length;
        if (next === wanted.length) return;
      }
    } catch (error) {
      if (!(error instanceof ObjectDamage)) throw error;
    }
  }
}

const NO_ROW = Buffer.alloc(0);
