import type { Config } from '../config/schema.ts';
import { TRANSPORTS } from '../config/transports.ts';
import { compileColumnRules } from '../model/column-rules.ts';
import { error, type Finding, shortList, warning } from '../model/finding.ts';
import { FLAT_FIELDS } from '../model/flat-fields.ts';
import { formatName } from '../model/name-pattern.ts';
import { HASH_COLUMN_NAME } from '../model/table.ts';
import { compileTableFilter } from '../model/table-filter.ts';
import { checkSinkTables } from '../sinks/check-sinks.ts';
import { checkColumnRules } from './check-column-rules.ts';
import { atLeast, type PreflightFacts } from './gather-server.ts';
import type { TableFacts } from './gather-tables.ts';

type Tables = Pick<PreflightFacts, 'flavor' | 'version' | 'tables' | 'variables'>;

/** Tables without a key, options that match no table, column names that clash, and changes that are not logged. */
export function checkTables(server: Tables, config: Config): Finding[] {
  const caseSensitive = server.variables.lower_case_table_names === '0';
  const keys = Object.entries(config.keys).map(([name, columns]) => {
    const is = compileTableFilter([name], { caseSensitive });
    return { name, columns, table: server.tables.find((table) => is(table.schema, table.name)) };
  });
  const keyless = server.tables.filter(
    (table) => table.primaryKey.length === 0 && !keys.some((key) => key.table === table),
  );
  const ruleOf = compileColumnRules(config.columns, { caseSensitive });
  const sentTables = server.tables.map((table) => ({
    ...table,
    columns: table.columns.filter((column) => ruleOf(table.schema, table.name, column)?.kind !== 'drop'),
  }));
  return [
    ...keys.flatMap(checkKeys),
    ...checkColumnRules(server.tables, config, caseSensitive),
    ...checkSinkTables(server.tables, config, { caseSensitive }),
    ...routesOf(config).flatMap((routes) => checkRoutes(server.tables, routes, caseSensitive)),
    ...(keyless.length > 0 ? [keylessWarning(keyless)] : []),
    ...checkLabels(server),
    ...checkHashNames(server),
    ...checkCascades(server),
    ...(config.format === 'flat' ? checkFlat(sentTables, config.flat_prefix) : []),
  ];
}

function checkKeys({
  name,
  columns,
  table,
}: {
  name: string;
  columns: string[];
  table: TableFacts | undefined;
}): Finding[] {
  if (!table) {
    return [
      warning(`keys names ${name}, which is not a captured table`, 'the entry has no effect', 'correct or remove it'),
    ];
  }
  if (table.primaryKey.length > 0) {
    return [
      warning(
        `keys of ${name} is not used: the server already has the key (${table.primaryKey.join(', ')})`,
        'a primary key, or the first unique key whose columns are NOT NULL, is the key of the events',
        'remove the entry',
      ),
    ];
  }
  const known = new Set(table.columns.map((column) => column.toLowerCase()));
  const unknown = columns.filter((column) => !known.has(column.toLowerCase()));
  if (unknown.length === 0) return [];
  return [
    error(
      `keys of ${name} names ${shortList(unknown)}, which the table does not have`,
      'cdc could not build the row key',
      `choose from its columns: ${shortList(table.columns, 20)}`,
    ),
  ];
}

interface ConfiguredRoutes {
  /** The key of the configuration. */
  key: string;
  patterns: string[];
}

const routesOf = (config: Config): ConfiguredRoutes[] =>
  [
    { key: 'routes', patterns: Object.keys(config.routes) },
    ...TRANSPORTS.map((name) => {
      const section = config[name];
      const routes = section !== undefined && 'routes' in section ? section.routes : {};
      return { key: `${name}.routes`, patterns: Object.keys(routes) };
    }),
  ].filter(({ patterns }) => patterns.length > 0);

function checkRoutes(tables: TableFacts[], { key, patterns }: ConfiguredRoutes, caseSensitive: boolean): Finding[] {
  const routes = patterns.map((pattern) => ({ pattern, matches: compileTableFilter([pattern], { caseSensitive }) }));
  const used = new Set(tables.map(({ schema, name }) => routes.find(({ matches }) => matches(schema, name))));
  return routes
    .filter((route) => !used.has(route))
    .map(({ pattern }) =>
      warning(
        `the route ${pattern} in ${key} is never used`,
        'it matches no captured table, or only tables that an earlier pattern matches',
        'correct it, move it up or remove it',
      ),
    );
}

function keylessWarning(keyless: TableFacts[]): Finding {
  const first = keyless[0] as TableFacts;
  const { schema, table } = { schema: first.schema, table: first.name };
  return warning(
    `no key: ${shortList(keyless.map(fullName))}`,
    'events without a key are sent one after the other, and cannot be folded into rows',
    `add a primary key or a UNIQUE key of NOT NULL columns, or name columns that identify a row: keys: { ${JSON.stringify(patternOf(schema, table))}: [${first.columns.slice(0, 2).join(', ')}] }`,
  );
}

/** The labels come from INFORMATION_SCHEMA if the binlog does not have them; a recursive CTE shows them as they are. */
function checkLabels({ flavor, version, tables, variables }: Tables): Finding[] {
  if (variables.binlog_row_metadata?.toUpperCase() === 'FULL') return [];
  if (flavor === 'mariadb' || atLeast(version, 8, 0)) return [];
  const uncertain = tables.flatMap((table) =>
    table.uncertainLabels.map(({ column }) => `${fullName(table)}.${column}`),
  );
  if (uncertain.length === 0) return [];
  return [
    error(
      `labels of ENUM or SET columns contain "?": ${shortList(uncertain)}`,
      'this server shows other characters as "?" too, so the first row of such a table stops the daemon',
      'give the column a character set such as utf8 or latin1, or labels without "?"; or leave the table out',
    ),
  ];
}

function checkHashNames({ flavor, tables }: Tables): Finding[] {
  if (flavor !== 'mariadb') return [];
  const named = tables.flatMap((table) =>
    table.columns.filter((column) => HASH_COLUMN_NAME.test(column)).map((column) => `${fullName(table)}.${column}`),
  );
  if (named.length === 0) return [];
  return [
    error(
      `columns have a name that MariaDB gives to its hidden columns: ${shortList(named)}`,
      'cdc leaves hidden columns out of the events',
      'rename the columns',
    ),
  ];
}

function checkCascades({ flavor, version, tables }: Tables): Finding[] {
  if (flavor === 'mysql' && atLeast(version, 9, 6)) return [];
  const children = tables.filter((table) => table.cascades.length > 0);
  if (children.length === 0) return [];
  return [
    warning(
      `changed by foreign keys: ${shortList(children.map((table) => `${fullName(table)} (${[...new Set(table.cascades)].join(', ')})`))}`,
      'this server does not log rows that a foreign key deletes or changes, so they are never captured',
      flavor === 'mysql'
        ? 'upgrade to MySQL 9.6 or later, or make the foreign keys RESTRICT and change the child rows in the application'
        : 'make the foreign keys RESTRICT and change the child rows in the application',
    ),
  ];
}

function checkFlat(tables: TableFacts[], prefix: string): Finding[] {
  const columns = new Set(tables.flatMap((table) => table.columns.map((column) => column.toLowerCase())));
  const taken = (candidate: string) => FLAT_FIELDS.some((field) => columns.has((candidate + field).toLowerCase()));
  if (!taken(prefix)) return [];
  const fields = new Set(FLAT_FIELDS.map((field) => (prefix + field).toLowerCase()));
  const clashes = tables.flatMap((table) =>
    table.columns.filter((column) => fields.has(column.toLowerCase())).map((column) => `${fullName(table)}.${column}`),
  );
  const freePrefix = ['_', '__', '_cdc_', '_cdc_meta_'].find((candidate) => !taken(candidate)) ?? 'another prefix';
  return [
    error(
      `columns have the names of fields of format flat: ${shortList(clashes)}`,
      'one of the two values would be lost',
      `flat_prefix: ${freePrefix}`,
    ),
  ];
}

const fullName = (table: TableFacts): string => `${table.schema}.${table.name}`;

/** The table as a pattern that matches only this table. */
const patternOf = (...names: string[]): string => names.map(formatName).join('.');
