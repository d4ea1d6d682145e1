import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listObjects } from '../../../src/lake/objects.ts';
import { BackfillFixture } from '../backfill/backfill-fixture.ts';
import { type Ended, startCdc } from '../pipeline-fixture.ts';

/** The JSON report of `cdc verify`, as much as tests look at. */
export interface Report {
  ok: boolean;
  tables: {
    schema: string;
    table: string;
    compared: boolean;
    rows: number;
    lakeRows: number;
    missing: number;
    extra: number;
    different: number;
    undecided: number;
    repaired: number;
    differences: { kind: string; key: string; columns: string[] }[];
    addedLater: string[];
  }[];
  damage: { object: string; line: number; lines: number; why: string }[];
  copies: { object: string; of: string }[];
  objects: number;
  events: number;
}

/** A line of the lake, and where it is. */
export interface LakeLine {
  path: string;
  number: number;
  text: string;
}

/** A daemon, its lake, and `cdc verify` beside them. */
export class VerifyFixture extends BackfillFixture {
  override configure(endpoint: string, extra = ''): void {
    super.configure(endpoint, `lake: lake\n${extra}`);
  }

  /** The same with another lake, or none. */
  configureAs(endpoint: string, lake: string): void {
    super.configure(endpoint, `${lake}\n`);
  }

  /** Makes a folder beside the lake, with one object. */
  addFolder(name: string, bytes: string): void {
    mkdirSync(join(this.directory, name));
    writeFileSync(join(this.directory, name, 'object'), bytes);
  }

  /** Whether every event that Firehose has is in the lake. */
  hasSpooledNothing(): boolean {
    return !readdirSync(`${this.lake}.spool`).some((name) => name.endsWith('.meta'));
  }

  /** `cdc verify --json` to its end. */
  async verify(...words: string[]): Promise<Ended & { report: Report }> {
    const ended = await this.verifyCommand('--json', ...words);
    const report = ended.stdout === '' ? undefined : JSON.parse(ended.stdout);
    return { ...ended, report: report as Report };
  }

  verifyCommand = (...words: string[]): Promise<Ended> => startCdc(this.directory, 'verify', ...words).ended;

  /** The lines of a table's events that contain `text`, in the order of their seqs. */
  async lines(table: string, text = ''): Promise<LakeLine[]> {
    const found: LakeLine[] = [];
    for (const { path } of await listObjects(this.lake, '')) {
      for (const [number, line] of readFileSync(path, 'utf8').split('\n').entries()) {
        if (line.includes(`"${table}"`) && line.includes(text)) found.push({ path, number, text: line });
      }
    }
    return found.sort((a, b) => (seqOf(a.text) < seqOf(b.text) ? -1 : 1));
  }

  /** Replaces a line of the lake; undefined removes it. */
  replace({ path, number, text }: LakeLine, by: string | undefined): void {
    const lines = readFileSync(path, 'utf8').split('\n');
    if (lines[number] !== text) throw new Error('the line is another one');
    lines.splice(number, 1, ...(by === undefined ? [] : [by]));
    writeFileSync(path, lines.join('\n'));
  }

  /** Adds an object to the lake. */
  addObject(name: string, bytes: string | Buffer): void {
    writeFileSync(join(this.lake, name), bytes);
  }
}

export const seqOf = (line: string): string => /"_?seq":"([0-9a-f]{36})"/.exec(line)?.[1] ?? '';
