import { type Fold, metaFields, select } from './fold.ts';
import { identifier, literal, pointer } from './sql.ts';

export interface LakeView {
  schema: string;
  table: string;
  /** The quoted name that stands for it in SQL. */
  name: string;
}

/**
 * A view per folded table, `"schema"."table"`, with the columns that its rows have. Integers are HUGEINT, which holds
 * every MySQL integer; other numbers are DOUBLE; all else is text, so that an amount is cast to the decimal it is.
 */
export async function createViews(fold: Fold): Promise<LakeView[]> {
  const views: LakeView[] = [];
  const taken = new Set<string>();
  for (const { schema, table, unfoldable, rows } of fold.tables) {
    if (unfoldable !== undefined || rows === 0) continue;
    const columns = await columnsOf(fold, schema, table);
    const name = `${identifier(schema)}.${identifier(unused(taken, schema, table))}`;
    await fold.connection.run(`CREATE SCHEMA IF NOT EXISTS ${identifier(schema)}`);
    await fold.connection.run(
      `CREATE VIEW ${name} AS SELECT ${columns.join(', ')} FROM cdc_lake.state
       WHERE db = ${literal(schema)} AND tbl = ${literal(table)}`,
    );
    views.push({ schema, table, name });
  }
  return views;
}

async function columnsOf(fold: Fold, schema: string, table: string): Promise<string[]> {
  const flat = fold.format === 'flat';
  const found = await select(
    fold.connection,
    `SELECT e.key, list(DISTINCT e.type) FROM cdc_lake.state s, json_each(s.line, '${flat ? '$' : '$.after'}') e
     WHERE s.db = $1 AND s.tbl = $2 GROUP BY e.key ORDER BY min(e.id), e.key`,
    [schema, table],
  );
  const meta = new Set(flat ? metaFields(fold.flatPrefix) : []);
  return found
    .filter(([name]) => !meta.has(String(name)))
    .map(([name, types]) => {
      const at = literal(flat ? pointer(String(name)) : pointer('after', String(name)));
      const type = columnType((types as { items: string[] }).items);
      return `json_extract_string(line, ${at})::${type} AS ${identifier(String(name))}`;
    });
}

function columnType(jsonTypes: readonly string[]): string {
  const types = jsonTypes.filter((type) => type !== 'NULL');
  if (types.length > 0 && types.every((type) => type === 'UBIGINT' || type === 'BIGINT')) return 'HUGEINT';
  if (types.length > 0 && types.every((type) => ['UBIGINT', 'BIGINT', 'DOUBLE'].includes(type))) return 'DOUBLE';
  return 'VARCHAR';
}

/** DuckDB does not tell `Orders` from `orders`; MySQL may. */
function unused(taken: Set<string>, schema: string, table: string): string {
  const id = (name: string) => JSON.stringify([schema, name]).toLowerCase();
  let name = table;
  for (let n = 2; taken.has(id(name)); n++) name = `${table}_${n}`;
  taken.add(id(name));
  return name;
}
