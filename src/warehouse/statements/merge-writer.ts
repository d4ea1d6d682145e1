/** The change of a table by the rows of a query. The functions get the name or alias of target and source. */
interface Change {
  target: string;
  /** A query, with at most one row for each row of the target. */
  source: string;
  on(target: string, source: string): string;
}

interface Update extends Change {
  set(target: string, source: string): (readonly [column: string, value: string])[];
}

interface Upsert extends Change {
  /** Whether the row of the source replaces that of the target. */
  isNewer(target: string, source: string): string;
  columns: string[];
  values(source: string): string[];
}

/** Writes a change as the statements of an engine. */
export interface MergeWriter {
  upsert(change: Upsert): string[];
  update(change: Update): string[];
  remove(change: Change): string[];
}

/** With the MERGE of the SQL standard, whose source can be a query. */
export const mergeWriter: MergeWriter = {
  upsert: ({ target, source, on, isNewer, columns, values }) => [
    `MERGE INTO ${target} t
USING (
${indented(source)}
) s
ON ${on('t', 's')}
WHEN MATCHED AND ${isNewer('t', 's')} THEN UPDATE SET ${assignments(columns, values('s'))}
WHEN NOT MATCHED THEN INSERT (${columns.join(', ')}) VALUES (${values('s').join(', ')})`,
  ],
  update: ({ target, source, on, set }) => [
    `MERGE INTO ${target} t
USING (
${indented(source)}
) s
ON ${on('t', 's')}
WHEN MATCHED THEN UPDATE SET ${set('t', 's')
      .map(([column, value]) => `${column} = ${value}`)
      .join(', ')}`,
  ],
  remove: ({ target, source, on }) => [
    `MERGE INTO ${target} t
USING (
${indented(source)}
) s
ON ${on('t', 's')}
WHEN MATCHED THEN DELETE`,
  ],
};

const STAGE = 'cdc_stage';

/**
 * As Redshift has it (Database Developer Guide, MERGE): the source is a table, the target has no alias, each of the two
 * WHEN clauses is there once and without a condition, and the match has only equalities.
 */
export const tableMergeWriter: MergeWriter = {
  upsert: ({ target, source, on, isNewer, columns, values }) => [
    `CREATE TEMP TABLE ${STAGE} AS
SELECT s.*
FROM (
${indented(source)}
) s
WHERE NOT EXISTS (SELECT 1 FROM ${target} t WHERE ${on('t', 's')} AND NOT (${isNewer('t', 's')}))`,
    `MERGE INTO ${target}
USING ${STAGE}
ON ${on(target, STAGE)}
WHEN MATCHED THEN UPDATE SET ${assignments(columns, values(STAGE))}
WHEN NOT MATCHED THEN INSERT (${columns.join(', ')}) VALUES (${values(STAGE).join(', ')})`,
    `DROP TABLE ${STAGE}`,
  ],
  update: ({ target, source, on, set }) => [
    `UPDATE ${target} SET ${set(target, 's')
      .map(([column, value]) => `${column} = ${value}`)
      .join(', ')}
FROM (
${indented(source)}
) s
WHERE ${on(target, 's')}`,
  ],
  remove: ({ target, source, on }) => [
    `CREATE TEMP TABLE ${STAGE} AS
${source}`,
    `DELETE FROM ${target} USING ${STAGE} WHERE ${on(target, STAGE)}`,
    `DROP TABLE ${STAGE}`,
  ],
};

const assignments = (columns: readonly string[], values: readonly string[]): string =>
  columns.map((name, i) => `${name} = ${values[i]}`).join(', ');

export const indented = (sql: string, spaces = 2): string =>
  sql
    .split('\n')
    .map((line) => ' '.repeat(spaces) + line)
    .join('\n');
