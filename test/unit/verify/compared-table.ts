import { configSchema, type ValueOptions } from '../../../src/config/schema.ts';
import type { EventFormatName } from '../../../src/lake/event-scanner.ts';
import type { ColumnRule } from '../../../src/model/column-rules.ts';
import type { DeclaredColumn } from '../../../src/source/schema/declared-columns.ts';
import type { ComparedTable } from '../../../src/verify/source/source-reader.ts';
import { type ComparedColumn, comparedColumns } from '../../../src/verify/source/source-row.ts';

export const DEFAULT_VALUES = configSchema.parse({
  ...{ source: { url: 'mysql://u@h' }, firehose: { stream: 's' } },
}).values;

/** A column by its name and its type as information_schema has it, such as `decimal(8,2)`. */
export const declared = (name: string, columnType: string, more: Partial<DeclaredColumn> = {}): DeclaredColumn => ({
  ...{ name, columnType, dataType: columnType.replace(/\W.*/, ''), isNullable: true, comment: '' },
  ...more,
});

export interface HowWritten {
  values?: Partial<ValueOptions>;
  format?: EventFormatName;
  rule?: ColumnRule;
}

/** The column as it is compared; a dropped one is not. */
export function comparedColumn(column: DeclaredColumn, { values, format, rule }: HowWritten = {}): ComparedColumn {
  const [found] = comparedColumns([column], { ...DEFAULT_VALUES, ...values }, format ?? 'debezium', () => rule);
  return found as ComparedColumn;
}

/** The table `shop.orders` with its first column as its key, as much as comparing needs. */
export function comparedTable(...columns: ComparedColumn[]): ComparedTable {
  const [key] = columns as [ComparedColumn];
  const names = { schema: 'shop', table: 'orders', name: 'shop.orders' };
  return { ...names, columns, key: [key.name], keyColumns: [0] } as unknown as ComparedTable;
}
