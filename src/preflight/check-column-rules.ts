import type { Config } from '../config/schema.ts';
import { compileColumnPattern, compileColumnRules } from '../model/column-rules.ts';
import { error, type Finding, indentedList, warning } from '../model/finding.ts';
import { compileTableFilter } from '../model/table-filter.ts';
import type { TableFacts } from './gather-tables.ts';

/** Column rules must match a column, and must keep row keys distinct. */
export function checkColumnRules(tables: TableFacts[], config: Config, caseSensitive: boolean): Finding[] {
  const unused = Object.keys(config.columns).filter((pattern) => {
    const is = compileColumnPattern(pattern, { caseSensitive });
    return !tables.some(({ schema, name, columns }) => columns.some((column) => is(schema, name, column)));
  });
  const ruleOf = compileColumnRules(config.columns, { caseSensitive });
  const configuredKeys = Object.entries(config.keys).map(([name, columns]) => ({
    is: compileTableFilter([name], { caseSensitive }),
    columns,
  }));
  const keyOf = ({ schema, name, primaryKey, columns }: TableFacts): string[] => {
    if (primaryKey.length > 0) return primaryKey;
    const named =
      configuredKeys.find(({ is }) => is(schema, name))?.columns.map((column) => column.toLowerCase()) ?? [];
    return columns.filter((column) => named.includes(column.toLowerCase()));
  };
  return [
    ...tables.flatMap((table) =>
      keyOf(table).flatMap((column) => {
        const kind = ruleOf(table.schema, table.name, column)?.kind;
        return kind === 'drop' || kind === 'mask' ? [keyError(kind, `${table.schema}.${table.name}.${column}`)] : [];
      }),
    ),
    ...(unused.length === 0
      ? []
      : [
          warning(
            `patterns in columns that match no column of a captured table: ${indentedList(unused)}`,
            'these rules protect nothing',
            'correct or remove the patterns',
          ),
        ]),
  ];
}

const keyError = (kind: string, column: string): Finding =>
  error(
    `columns would ${kind} the key column ${column}`,
    'different rows would get the same key and replace each other in the lake',
    `narrow the pattern, or hash the column: ${JSON.stringify(column)}: { hash: sha256, secret: … }`,
  );
