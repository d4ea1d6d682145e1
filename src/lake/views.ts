import { type Fold, metaFields, selectRows } from './fold.ts';
import { duckdbIdentifier, jsonPointer, sqlLiteral } from './sql.ts';

export interface LakeView {
  schema: string;
  table: string;
  /** The quoted name of the view in SQL. */
  name: string;
}

/**
 * Creates a view `"schema"."table"` per folded table with the columns of its rows. Integers are HUGEINT, which holds
 * every MySQL integer. Other numbers are DOUBLE. Everything else is text, so that a query can cast an amount to its
 * decimal type.
 */
export async function createViews(fold: Fold): Promise<LakeView[]> {
  const views: LakeView[] = [];
  const taken = new Set<string>();
  for (const { schema, table, unfoldable, rows } of fold.tables) {
    if (unfoldable !== undefined || rows === 0) continue;
    const columns = await columnsOf(fold, schema, table);
    const name = `${duckdbIdentifier(schema)}.${duckdbIdentifier(unusedName(taken, schema, table))}`;
    await fold.connection.run(`CREATE SCHEMA IF NOT EXISTS ${duckdbIdentifier(schema)}`);
    await fold.connection.run(
      `CREATE VIEW ${name} AS SELECT ${columns.join(', ')} FROM cdc_lake.state
       WHERE db = ${sqlLiteral(schema)} AND tbl = ${sqlLiteral(table)}`,
    );
    views.push({ schema, table, name });
  }
  return views;
}

async function columnsOf(fold: Fold, schema: string, table: string): Promise<string[]> {
  const flat = fold.format === 'flat';
  const found = await selectRows(
    fold.connection,
    `SELECT e.key, list(DISTINCT e.type) FROM cdc_lake.state s, json_each(s.line, '${flat ? '$' : '$.after'}') e
     WHERE s.db = $1 AND s.tbl = $2 GROUP BY e.key ORDER BY min(e.id), e.key`,
    [schema, table],
  );
  const meta = new Set(flat ? metaFields(fold.flatPrefix) : []);
  return found
    .filter(([name]) => !meta.has(String(name)))
    .map(([name, types]) => {
      const pointer = sqlLiteral(flat ? jsonPointer(String(name)) : jsonPointer('after', String(name)));
      const type = columnType((types as { items: string[] }).items);
      return `json_extract_string(line, ${pointer})::${type} AS ${duckdbIdentifier(String(name))}`;
    });
}

function columnType(jsonTypes: readonly string[]): string {
  const types = jsonTypes.filter((type) => type !== 'NULL');
  if (types.length > 0 && types.every((type) => type === 'UBIGINT' || type === 'BIGINT')) return 'HUGEINT';
  if (types.length > 0 && types.every((type) => ['UBIGINT', 'BIGINT', 'DOUBLE'].includes(type))) return 'DOUBLE';
  return 'VARCHAR';
}

/** A view name that is not taken. `Orders` and `orders` are the same name in DuckDB, but can be two tables in MySQL. */
function unusedName(taken: Set<string>, schema: string, table: string): string {
  const id = (name: string) => JSON.stringify([schema, name]).toLowerCase();
  let name = table;
  for (let n = 2; taken.has(id(name)); n++) name = `${table}_${n}`;
  taken.add(id(name));
  return name;
}
