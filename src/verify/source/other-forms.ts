import type { ValueOptions } from '../../config/schema.ts';
import type { EventFormatName } from '../../lake/event-scanner.ts';
import type { ColumnReader } from '../../lake/source-column.ts';
import type { DeclaredColumn } from '../../source/schema/declared-columns.ts';
import { createReader } from './source-row.ts';

const CHOICES: { [option in keyof ValueOptions]: readonly ValueOptions[option][] } = {
  bigint: ['number', 'string'],
  decimal: ['string', 'number'],
  json: ['string', 'nested'],
  binary: ['base64', 'hex'],
  temporal: ['iso', 'mysql', 'epoch_micros'],
  zero_dates: ['text', 'null'],
  boolean: [[], ['tinyint1', 'bit1']],
};

/** How a column would be written if one of the `values` options were another one. */
export function otherForms(column: DeclaredColumn, values: ValueOptions, format: EventFormatName): ColumnReader[] {
  const forms: ColumnReader[] = [];
  for (const [option, choices] of Object.entries(CHOICES)) {
    for (const choice of choices) forms.push(createReader(column, { ...values, [option]: choice }, format));
  }
  return forms;
}
