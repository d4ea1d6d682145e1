import type { Connection } from 'mysql2';
import { configSchema } from '../../src/config/schema.ts';
import { connectSource, describeTable, readTable, type SourceRow } from '../../src/lake/source-table.ts';
import { canonicalJson, parseRawObject } from '../../src/runtime/raw-json.ts';
import type { EventFold, Folded } from './event-fold.ts';
import { shortened } from './event-line.ts';
import type { IncompleteMarks } from './incomplete-marks.ts';
import { CAPTURED, type ChaosTable, SCHEMA } from './tables.ts';
import type { Report } from './violation.ts';

const VALUES = configSchema.parse({ source: { url: 'mysql://u@h' }, firehose: { stream: 's' } }).values;

/**
 * Checks `convergence`: the fold has the rows and values of the server's own SELECT. A table that is marked as one that
 * needs another copy still has the rows that have gone without an event. Returns the number of rows.
 */
export async function compareWithSource(
  url: string,
  fold: EventFold,
  marks: IncompleteMarks,
  report: Report,
): Promise<number> {
  const connection = await connectSource({ uri: url });
  try {
    let rows = 0;
    for (const table of CAPTURED) rows += await compareTable(connection, table, fold, marks, report);
    return rows;
  } finally {
    connection.destroy();
  }
}

async function compareTable(
  connection: Connection,
  table: ChaosTable,
  fold: EventFold,
  marks: IncompleteMarks,
  report: Report,
): Promise<number> {
  const { name, keyColumns } = table;
  const folded = fold.rows(name);
  const described = await describeTable(connection, SCHEMA, name, VALUES, keyColumns);
  let rows = 0;
  for await (const chunk of readTable(connection, described)) {
    for (const row of chunk) {
      rows++;
      const key = objectText(keyColumns.map((column) => [column, row.get(column) ?? 'null']));
      const ours = folded.get(key);
      folded.delete(key);
      if (ours === undefined) {
        report({
          promise: 'convergence',
          what: 'a row of the source is not in the fold',
          evidence: { table: name, key },
        });
      } else if (!sameRow(row, ours)) {
        report({
          promise: 'convergence',
          what: 'a row of the fold differs from the source',
          evidence: { table: name, key, source: objectText([...row]).slice(0, 1_000), fold: ours },
        });
      }
    }
  }
  for (const [key, ours] of folded) {
    if (marks.isGone(name, key, ours.version)) continue;
    report({
      promise: 'convergence',
      what: 'a row of the fold is not in the source',
      evidence: { table: name, key, ours },
    });
  }
  return rows;
}

/** Compares columns and texts. A column that was added after the row's last event must have its default, NULL. */
function sameRow(row: SourceRow, { row: ours }: Folded & { row: string }): boolean {
  const text = objectText([...row]);
  if (shortened(text) === ours) return true;
  if (!ours.startsWith('{')) return false;
  // Compared as text, because JSON.parse would round a BIGINT of both sides alike.
  const event = parseRawObject(ours);
  return [...row].every(([column, value]) => canonicalJson(event.get(column) ?? 'null') === canonicalJson(value));
}

const objectText = (entries: readonly (readonly [string, string])[]): string =>
  `{${entries.map(([name, value]) => `"${name}":${value}`).join(',')}}`;
