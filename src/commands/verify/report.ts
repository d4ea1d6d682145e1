import { shortList } from '../../model/finding.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { printable } from '../../runtime/printable.ts';
import type { RowDifference } from '../../verify/compare/suspects.ts';
import type { LakeScan } from '../../verify/lake/lake-scan.ts';
import { differenceCount, type TableResult } from '../../verify/table-result.ts';
import { formatSeconds, plural } from '../backfill/text.ts';

type Scanned = Pick<LakeScan, 'damage' | 'copies' | 'objects' | 'events'> & {
  /** Captured tables that were asked for, and that only the lake has. */
  notCompared: readonly string[];
};

/** 4 if rows differ, 1 if objects are damaged or keys are not decided, otherwise 0. */
export function exitCodeOf(results: readonly TableResult[], { damage }: Pick<Scanned, 'damage'>): 0 | 1 | 4 {
  if (results.some((result) => differenceCount(result) > 0)) return 4;
  return damage.length > 0 || results.some(({ undecided }) => undecided > 0) ? 1 : 0;
}

/** The keys that differ, then the counts of each table. No value of any column. */
export function textReport(results: readonly TableResult[], scan: Scanned, seconds: number): string {
  const lines = results.flatMap((result) => {
    const name = printable(formatTableName(result.schema, result.table));
    const left = differenceCount(result) - result.differences.length;
    return [
      ...result.differences.map((difference) => `${name} ${shownKey(difference.key)}: ${differenceText(difference)}`),
      ...(left > 0 && result.differences.length > 0
        ? [`${name}: ${plural(left, 'more row')} not listed (--list)`]
        : []),
    ];
  });
  lines.push(...results.map(tableLine));
  const rows = results.reduce((sum, result) => sum + result.rows, 0);
  const code = exitCodeOf(results, scan);
  const verdict = { 0: 'the lake equals the source', 1: 'not everything could be compared', 4: 'the lake differs' }[
    code
  ];
  lines.push(
    `${plural(rows, 'row')} against ${plural(scan.events, 'event')} in ${plural(scan.objects, 'object')}, ` +
      `${formatSeconds(seconds)}: ${verdict}`,
  );
  return `${lines.join('\n')}\n`;
}

const KEY_CHARACTERS = 200;

function shownKey(key: string): string {
  const text = printable(key);
  return text.length <= KEY_CHARACTERS ? text : `${text.slice(0, KEY_CHARACTERS)}… (${text.length} characters)`;
}

function differenceText({ kind, columns }: RowDifference): string {
  if (kind === 'missing') return 'missing in the lake';
  if (kind === 'extra') return 'only in the lake';
  const names = columns.map(({ name, lake }) => `${printable(name)}${lake === undefined ? ' (not in the lake)' : ''}`);
  return `differs in ${names.join(', ')}`;
}

function tableLine(result: TableResult): string {
  const { schema, table, rows, missing, extra, different, undecided, repaired, unrepairable, addedLater } = result;
  const name = printable(formatTableName(schema, table));
  if (result.isElsewhere) return `${name}: not compared, its events go to another stream`;
  const parts = [
    plural(rows, 'row'),
    ...(differenceCount(result) === 0 ? (undecided > 0 ? [] : ['equal']) : []),
    ...(missing > 0 ? [`${plural(missing, 'row')} missing`] : []),
    ...(extra > 0 ? [`${plural(extra, 'row')} only in the lake`] : []),
    ...(different > 0 ? [`${plural(different, 'row')} of other values`] : []),
    ...(undecided > 0 ? [`${plural(undecided, 'key')} not decided in the time of --wait`] : []),
    ...(unrepairable > 0 ? [`${plural(unrepairable, 'row')} cannot be repaired by key: cdc backfill ${name}`] : []),
    ...(repaired > 0 ? [`${plural(repaired, 'row')} repaired`] : []),
    ...(addedLater.length > 0 ? [`rows from before ${addedLater.map(printable).join(', ')} do not have it`] : []),
  ];
  return `${name}: ${parts.join(', ')}`;
}

/** What is wrong with objects, for standard error. */
export function damageLines({ damage, copies, notCompared }: Scanned): string[] {
  return [
    ...(notCompared.length > 0
      ? [
          `not compared: the lake has events of ${shortList(notCompared.map(printable))}, which this account does not see: dropped, or no SELECT`,
        ]
      : []),
    ...damage.map(({ object, line, lines, why }) => {
      const others = lines > 1 ? `, and ${plural(lines - 1, 'more line')}` : '';
      return `damaged: ${printable(object)}, line ${line}${others}: ${why}`;
    }),
    ...copies.map(
      ({ object, of }) => `a copy: ${printable(object)} has the same bytes as ${printable(of)}; it adds nothing`,
    ),
  ];
}

/** Everything as one object. A key is the text of a JSON object, because its numbers can be longer than a double. */
export function jsonReport(results: readonly TableResult[], scan: Scanned, seconds: number): string {
  const { damage, copies, objects, events, notCompared } = scan;
  const tables = results.map(({ differences, isElsewhere, foundAt, rowCharacters, ...rest }) => ({
    ...rest,
    compared: !isElsewhere,
    differences: differences.map(({ kind, key, columns }) => ({ kind, key, columns: columns.map(({ name }) => name) })),
  }));
  const ok = exitCodeOf(results, scan) === 0;
  return `${JSON.stringify({ ok, tables, notCompared, damage, copies, objects, events, seconds: Number(seconds.toFixed(1)) })}\n`;
}
