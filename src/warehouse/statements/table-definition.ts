import type { Delivered, Dialect } from '../dialect.ts';
import { STATE_SCHEMA, type TableNames, type TableShape, tableId } from '../names.ts';
import type { LandedColumn, LandedTable } from '../tables/landed-table.ts';
import { hasOwnKey } from './merge-statements.ts';

/** What cdc keeps for itself: the TRUNCATE of each table, and what the tables were made of. */
export function stateDefinition(dialect: Dialect, delivered: Delivered): string[] {
  const text = dialect.textType;
  const notNull = dialect.hasNotNull ? ' NOT NULL' : '';
  return [
    `CREATE SCHEMA IF NOT EXISTS ${STATE_SCHEMA}`,
    ...(dialect.helpers ?? []),
    `CREATE TABLE IF NOT EXISTS ${STATE_SCHEMA}.tables (
  table_id ${text}${notNull},
  emptied ${text}${notNull}
)${dialect.tableSuffix([STATE_SCHEMA, 'tables'], delivered)}`,
    `CREATE TABLE IF NOT EXISTS ${STATE_SCHEMA}.shapes (
  table_id ${text}${notNull},
  shape ${text}${notNull}
)${dialect.tableSuffix([STATE_SCHEMA, 'shapes'], delivered)}`,
  ];
}

/** The table of the current state, its cells and its entry in the state of cdc. */
export function tableDefinition(
  table: LandedTable,
  names: TableNames,
  dialect: Dialect,
  delivered: Delivered,
): string[] {
  const { quoteInDefinition: quote, textType } = dialect;
  const notNull = dialect.hasNotNull ? ' NOT NULL' : '';
  const state = `${quote(names.schema)}.${quote(names.state)}`;
  const { comments } = dialect;
  const hasComment = comments !== 'statements' && table.comment !== '';
  const comment = hasComment ? comments.table(dialect.literal(table.comment)) : '';
  const id = dialect.literal(tableId(table));
  const own = [
    `${quote(names.seq)} ${textType}${notNull}`,
    `${quote(names.deleted)} ${dialect.booleanType}${notNull}`,
    ...(hasOwnKey(table, dialect) ? [`${quote(names.key)} ${textType}${notNull}`] : []),
  ];
  const columns = table.columns.map((column, i) => columnDefinition(column, names.columns[i] as string, dialect));
  const lines = [...columns, ...own, ...primaryKey(table, names, dialect)];
  return [
    `CREATE SCHEMA IF NOT EXISTS ${quote(names.schema)}`,
    `CREATE TABLE IF NOT EXISTS ${state} (
  ${lines.join(',\n  ')}
)${dialect.tableSuffix([names.schema, names.state], delivered)}${comment}`,
    `CREATE TABLE IF NOT EXISTS ${STATE_SCHEMA}.${quote(names.cells)} (
  ${[...identityColumns(table, dialect), `cell ${textType}${notNull}`, `seq ${textType}${notNull}`, `text ${textType}`].join(',\n  ')}
)${dialect.tableSuffix([STATE_SCHEMA, names.cells], delivered)}`,
    `INSERT INTO ${STATE_SCHEMA}.tables (table_id, emptied)
SELECT ${id}, '' WHERE NOT EXISTS (SELECT 1 FROM ${STATE_SCHEMA}.tables WHERE table_id = ${id})`,
  ];
}

/** Notes what a table was made of. */
export function shapeStatements(table: LandedTable, shape: TableShape, { literal }: Dialect): string[] {
  const id = literal(tableId(table));
  return [
    `DELETE FROM ${STATE_SCHEMA}.shapes WHERE table_id = ${id}`,
    `INSERT INTO ${STATE_SCHEMA}.shapes (table_id, shape) VALUES (${id}, ${literal(JSON.stringify(shape))})`,
  ];
}

/** The current rows under the names of the source, without the columns of cdc. */
export function viewDefinition(table: LandedTable, names: TableNames, dialect: Dialect): string {
  const { quote } = dialect;
  const columns = table.columns.map((_, i) => {
    const [name, inView] = [quote(names.columns[i] as string), quote(names.viewColumns[i] as string)];
    return name === inView ? name : `${name} AS ${inView}`;
  });
  return `CREATE OR REPLACE VIEW ${quote(names.schema)}.${quote(names.view)} AS
SELECT ${columns.join(', ')}
FROM ${quote(names.schema)}.${quote(names.state)}
WHERE NOT ${quote(names.deleted)}`;
}

function columnDefinition(column: LandedColumn, name: string, dialect: Dialect): string {
  const { type } = dialect.columnType(column.kind);
  const notNull = dialect.hasNotNull && !column.isNullable ? ' NOT NULL' : '';
  const { comments } = dialect;
  const hasComment = comments !== 'statements' && column.comment !== '';
  const comment = hasComment ? comments.column(dialect.literal(column.comment)) : '';
  return `${dialect.quoteInDefinition(name)} ${type}${notNull}${comment}`;
}

function primaryKey(table: LandedTable, names: TableNames, dialect: Dialect): string[] {
  if (dialect.primaryKey === 'none') return [];
  const columns = hasOwnKey(table, dialect) ? [names.key] : table.key.map((i) => names.columns[i] as string);
  const suffix = dialect.primaryKey === 'not enforced' ? ' NOT ENFORCED' : '';
  return [`PRIMARY KEY (${columns.map(dialect.quoteInDefinition).join(', ')})${suffix}`];
}

function identityColumns(table: LandedTable, dialect: Dialect): string[] {
  const notNull = dialect.hasNotNull ? ' NOT NULL' : '';
  if (hasOwnKey(table, dialect)) return [`k0 ${dialect.textType}${notNull}`];
  return table.key.map((column, i) => {
    const { type } = dialect.columnType((table.columns[column] as LandedColumn).kind);
    return `k${i} ${type}${notNull}`;
  });
}

export function commentStatements(table: LandedTable, names: TableNames, dialect: Dialect): string[] {
  if (dialect.comments !== 'statements') return [];
  const { quote, literal } = dialect;
  const state = `${quote(names.schema)}.${quote(names.state)}`;
  const statements = table.comment === '' ? [] : [`COMMENT ON TABLE ${state} IS ${literal(table.comment)}`];
  for (const [i, { comment }] of table.columns.entries()) {
    if (comment === '') continue;
    statements.push(`COMMENT ON COLUMN ${state}.${quote(names.columns[i] as string)} IS ${literal(comment)}`);
  }
  return statements;
}
