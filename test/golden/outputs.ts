import { type Decoded, decode, type Fixture, summarize } from './decode.ts';
import { changedLines, digestOf, type Sections } from './files.ts';
import { DEFAULTS, FULL_FORMAT, variationsOf } from './variations.ts';

const line = (text: string): Buffer => Buffer.from(`${text}\n`);

export const digestLine = (section: string, lines: readonly Buffer[]): string => `${section} ${digestOf(lines)}`;

/**
 * What a dead letter, and a message about an event, would say of each line. Of the tables of the stories only, which
 * have keys of every form: a summary parses its whole line, and the lines of the types are long.
 */
export const summariesOf = ({ lines, tables }: Decoded, format: (typeof DEFAULTS)[number]): string[] =>
  lines
    .filter((event) => event.includes('"golden_story"'))
    .map((event) => JSON.stringify(summarize(event, format.variation, tables)));

/** All that is compared of a fixture, made by the code as it is. */
export function makeSections(fixture: Fixture): Sections {
  const sections: Sections = new Map();
  const digests: string[] = [];
  for (const named of DEFAULTS) {
    const decoded = decode(fixture, named.variation);
    sections.set(named.section, decoded.lines);
    digests.push(digestLine(`${named.format} summaries`, summariesOf(decoded, named).map(line)));
    if (named.format === FULL_FORMAT) {
      sections.set('journal', decoded.journal.map(line));
      sections.set('checkpoint', [line(JSON.stringify(decoded.checkpoint))]);
    }
  }
  for (const { format, section, variation } of variationsOf(fixture.name)) {
    const { lines } = decode(fixture, variation);
    const base = sections.get(`${format} default`) ?? [];
    if (lines.length !== base.length) throw new Error(`${section} has ${lines.length} lines, not ${base.length}`);
    if (format === FULL_FORMAT) sections.set(section, changedLines(base, lines));
    else digests.push(digestLine(section, lines));
  }
  sections.set('digests', digests.map(line));
  return sections;
}
