import type { CopyOptions } from './copy-options.ts';
import { quoteName } from './names.ts';

/** A column of the table, as `COLUMNS_SQL` returns it. */
export interface TableColumn {
  name: string;
  /** The type without its length, as SQL: `"pg_catalog"."numeric"`. */
  type: string;
  /** `varchar`, `jsonb`, `timestamptz`. */
  type_name: string;
  /** The length of varchar(n) and char(n), in characters; -1 without one. */
  length: number;
  /** The DEFAULT as SQL. */
  default_sql: string | null;
  /** The server makes the values: identity or generated. */
  generated: boolean;
}

/** The columns of a table in its order; none if it does not exist. Its parameter is the table as SQL. */
export const COLUMNS_SQL = `SELECT a.attname AS name,
    quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS type, t.typname AS type_name,
    CASE WHEN t.typname IN ('varchar', 'bpchar') THEN a.atttypmod - 4 ELSE -1 END AS length,
    CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS default_sql,
    a.attidentity <> '' OR a.attgenerated <> '' AS generated
  FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum`;

const TEXT_TYPES = new Set(['text', 'varchar', 'bpchar', 'char', 'name']);
/** They take the place of Redshift's SUPER. */
const JSON_TYPES = new Set(['json', 'jsonb']);

/** The columns that a COPY fills. @throws Error if a listed column is not in the table */
export function copiedColumns(columns: readonly TableColumn[], listed: readonly string[] | undefined): TableColumn[] {
  if (listed === undefined) return columns.filter(({ generated }) => !generated);
  return listed.map((name) => {
    const found = columns.find((column) => column.name === name);
    if (!found) throw new Error(`column ${quoteName(name)} of DataTableColumns does not exist`);
    return found;
  });
}

/**
 * The INSERT of a part of the data, whose parameter is a JSON array of the objects. Values go from the text of the JSON
 * to the input function of the column's type, so that no digit is lost on the way.
 */
export function insertSql(table: string, columns: readonly TableColumn[], options: CopyOptions): string {
  const keyOf = ({ name }: TableColumn): string => (options.ignoreCase ? name.toLowerCase() : name);
  const fields = columns.map(
    (column) => `${quoteName(keyOf(column))} ${JSON_TYPES.has(column.type_name) ? 'json' : 'text'}`,
  );
  const values = columns.map((column) => {
    const value = valueSql(column, `r.${quoteName(keyOf(column))}`, options);
    // DEFAULT is for a key that is missing. A key with null is NULL.
    return column.default_sql === null
      ? value
      : `CASE WHEN o.object -> ${quoteText(keyOf(column))} IS NULL THEN ${column.default_sql} ELSE ${value} END`;
  });
  const elements = 'json_array_elements($1::json)';
  const objects = options.ignoreCase
    ? `(SELECT coalesce((SELECT json_object_agg(lower(f.key), f.value) FROM json_each(e.value) AS f), '{}') AS object
    FROM ${elements} AS e) AS o`
    : `${elements} AS o(object)`;
  return `INSERT INTO ${table} (${columns.map(({ name }) => quoteName(name)).join(', ')})
  SELECT ${values.join(',\n    ')}
  FROM ${objects}, json_to_record(o.object) AS r(${fields.join(', ')})`;
}

function valueSql({ type, type_name, length }: TableColumn, field: string, options: CopyOptions): string {
  if (JSON_TYPES.has(type_name)) return `CASE WHEN json_typeof(${field}) <> 'null' THEN ${field} END::${type}`;
  if (TEXT_TYPES.has(type_name)) {
    let text = field;
    if (options.emptyAsNull) text = `NULLIF(${text}, '')`;
    if (options.blanksAsNull) text = `CASE WHEN ${text} !~ '^\\s+$' THEN ${text} END`;
    // Without a cast: a cast cuts what is too long, an assignment refuses it.
    return options.truncateColumns && length >= 0 ? `left(${text}, ${length})` : text;
  }
  const text = `CASE WHEN ${field} ~ '\\S' THEN ${field} END`;
  const { timeFormat, dateFormat } = options;
  if (type_name === 'date' && dateFormat !== undefined)
    return `to_date(${text}, ${quoteText(serverFormat(dateFormat))})`;
  if ((type_name === 'timestamp' || type_name === 'timestamptz') && timeFormat !== undefined) {
    return `(${timeSql(text, timeFormat)})::${type}`;
  }
  // VARBYTE reads hexadecimal digits.
  if (type_name === 'bytea') return `decode(${text}, 'hex')`;
  return `CAST(${text} AS ${type})`;
}

/** The time zone of the session is UTC. */
function timeSql(text: string, format: string): string {
  const epoch = { epochsecs: 'second', epochmillisecs: 'millisecond' }[format.toLowerCase()];
  if (epoch === undefined) return `to_timestamp(${text}, ${quoteText(serverFormat(format))})`;
  return `'1970-01-01T00:00:00Z'::timestamptz + (${text})::numeric::float8 * interval '1 ${epoch}'`;
}

/** In Redshift HH is the hour of 24, unless the format has AM or PM. */
const serverFormat = (format: string): string =>
  /[ap]\.?m/i.test(format) ? format : format.replace(/HH(?!12|24)/gi, 'HH24');

const quoteText = (text: string): string =>
  `${text.includes('\\') ? 'E' : ''}'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
