import type { EventFormatOptions } from '../codec/formats/event-format.ts';
import type { Config } from '../config/schema.ts';
import { compileColumnRules } from '../model/column-rules.ts';
import type { Column, Table } from '../model/table.ts';
import { compileTableFilter } from '../model/table-filter.ts';
import { CdcError } from '../runtime/error.ts';
import type { ServerInfo } from './server/server-info.ts';

/** How the events of a pipeline are written. Stream and backfill share it, so that both write the same bytes. */
export function eventFormat(
  config: Config,
  { caseSensitive, charsets }: ServerInfo,
  epoch: number,
): EventFormatOptions {
  return {
    format: config.format,
    name: config.name,
    epoch,
    flatPrefix: config.flat_prefix,
    values: config.values,
    charsets,
    columnRule: compileColumnRules(config.columns, { caseSensitive }),
  };
}

export type FallbackKeys = (schema: string, table: string) => string[] | undefined;

/** Finds the `keys` entry of a table. Names are compared as the server compares them. */
export function compileFallbackKeys({ keys }: Config, caseSensitive: boolean): FallbackKeys {
  const entries = Object.entries(keys).map(([name, columns]) => ({
    matches: compileTableFilter([name], { caseSensitive }),
    columns,
  }));
  return (schema, table) => entries.find(({ matches }) => matches(schema, table))?.columns;
}

/** A table with its row key: the primary key, or the columns that `keys` names. */
export function withRowKey(
  { schema, name }: Pick<Table, 'schema' | 'name'>,
  columns: readonly Column[],
  primaryKey: readonly number[],
  fallbackKeys: FallbackKeys,
): Table {
  const override = primaryKey.length > 0 ? undefined : fallbackKeys(schema, name);
  const key = override?.map((column) => {
    const index = columns.findIndex((c) => c.name.toLowerCase() === column.toLowerCase());
    if (index < 0) {
      throw new CdcError(`keys contains the column ${column}, which ${schema}.${name} does not have`, {
        exitCode: 2,
        hint: `choose among its columns: ${columns.flatMap((c) => c.name || []).join(', ')}`,
      });
    }
    return index;
  });
  return { schema, name, columns, key: key ?? primaryKey };
}
