import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync, constants as zlib } from 'node:zlib';
import type { Fixture, FixtureFacts } from './decode.ts';

/** Where the golden files are; tests run in the root of the repository. */
export const FOLDER = 'test/golden/files';

export const FIXTURES = ['mysql-9.7', 'mysql-9.7-unnamed', 'mariadb-10.11', 'mysql-5.6'] as const;
export type FixtureName = (typeof FIXTURES)[number];

/** A fixture is a line of JSON with the facts of the server, then the events. */
export function readFixture(name: FixtureName): Fixture {
  const content = gunzipSync(readFileSync(join(FOLDER, `${name}.fixture.gz`)));
  const end = content.indexOf('\n');
  const facts = JSON.parse(content.toString('utf8', 0, end)) as FixtureFacts;
  return { ...facts, name, events: content.subarray(end + 1) };
}

export function writeFixture({ name, events, ...facts }: Fixture): void {
  const content = Buffer.concat([Buffer.from(`${JSON.stringify(facts)}\n`), events]);
  writeFileSync(join(FOLDER, `${name}.fixture.gz`), gzipSync(content, { level: 9 }));
}

/** Lines, each with its newline, by what they are: `debezium default`, `journal`, and so on. */
export type Sections = Map<string, readonly Buffer[]>;

/**
 * The sections of a fixture are one file, each after a line `# name lines`. Brotli, because its window spans the
 * formats, which repeat one another: gzip makes four times as much of it.
 */
export function readSections(fixture: string): Sections {
  const lines = linesOf(brotliDecompressSync(readFileSync(join(FOLDER, `${fixture}.golden.br`))));
  const sections: Sections = new Map();
  for (let at = 0; at < lines.length; ) {
    const [, name, count] = /^# (.+) (\d+)\n$/.exec(String(lines[at])) as unknown as [string, string, string];
    const end = at + 1 + Number(count);
    sections.set(name, lines.slice(at + 1, end));
    at = end;
  }
  return sections;
}

export function writeSections(fixture: string, sections: Sections): void {
  const parts = [...sections].flatMap(([name, lines]) => [Buffer.from(`# ${name} ${lines.length}\n`), ...lines]);
  const content = Buffer.concat(parts);
  const params = {
    [zlib.BROTLI_PARAM_QUALITY]: zlib.BROTLI_MAX_QUALITY,
    [zlib.BROTLI_PARAM_LGWIN]: zlib.BROTLI_MAX_WINDOW_BITS,
    [zlib.BROTLI_PARAM_SIZE_HINT]: content.length,
  };
  writeFileSync(join(FOLDER, `${fixture}.golden.br`), brotliCompressSync(content, { params }));
}

/** Cuts text after each newline. */
function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at) + 1;
    lines.push(text.subarray(at, end));
    at = end;
  }
  return lines;
}

export function digestOf(lines: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const line of lines) hash.update(line);
  return hash.digest('hex');
}

/**
 * What a variation changes: the lines that are not those of the default values, each after its index and a space. An
 * option changes few lines, so a section stays small and still holds every line in full.
 */
export const changedLines = (base: readonly Buffer[], lines: readonly Buffer[]): Buffer[] =>
  lines.flatMap((line, i) => (base[i]?.equals(line) ? [] : [Buffer.concat([Buffer.from(`${i} `), line])]));

export function withChanges(base: readonly Buffer[], changed: readonly Buffer[]): Buffer[] {
  const lines = [...base];
  for (const line of changed) {
    const space = line.indexOf(' ');
    lines[Number(line.toString('latin1', 0, space))] = line.subarray(space + 1);
  }
  return lines;
}
