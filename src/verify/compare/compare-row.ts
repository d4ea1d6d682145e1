import type { ColumnReader } from '../../lake/source-column.ts';
import { canonicalJson } from '../../runtime/raw-json.ts';
import type { ComparedColumn } from '../source/source-row.ts';
import { isDefaultValue } from './column-default.ts';

export interface DifferentColumn {
  name: string;
  /** JSON texts, cut if they are long. `lake` is undefined if the lake's row lacks the column. */
  source: string;
  lake: string | undefined;
}

export interface RowComparison {
  columns: DifferentColumn[];
  /** Whether columns have the value of the source in the form of another `values` option. */
  hasOtherForm: boolean;
  /** Columns that the lake's row lacks because they were added later: the source has their default. */
  addedLater: string[];
}

/** The other forms of a column, one for each way that the `values` options can write it. */
export type OtherForms = (column: ComparedColumn) => readonly ColumnReader[];

/** A value of the source: its JSON text, and how the other forms write it. */
export interface SourceValue {
  text: string;
  /** The value as the server converted it; null for NULL. */
  raw: Buffer | null;
}

/** Compares a row column by column. Columns that only the lake has were dropped in the source, and do not count. */
export function compareRow(
  columns: readonly ComparedColumn[],
  source: readonly SourceValue[],
  lake: ReadonlyMap<string, string>,
  otherForms: OtherForms,
): RowComparison {
  const result: RowComparison = { columns: [], hasOtherForm: false, addedLater: [] };
  for (const [i, column] of columns.entries()) {
    const { text, raw } = source[i] as SourceValue;
    const found = lake.get(column.name);
    if (found === undefined) {
      if (raw === null || text === 'null' || isDefaultValue(column, raw)) result.addedLater.push(column.name);
      else result.columns.push({ name: column.name, source: shorten(text), lake: undefined });
    } else if (!isSame(column.reader, text, found, column.rule !== undefined)) {
      if (raw !== null && column.rule === undefined && otherForms(column).some((form) => isForm(form, raw, found))) {
        result.hasOtherForm = true;
      } else result.columns.push({ name: column.name, source: shorten(text), lake: shorten(found) });
    }
  }
  return result;
}

function isSame({ sameValue }: ColumnReader, source: string, lake: string, isRuled: boolean): boolean {
  if (source === lake || canonicalJson(source) === canonicalJson(lake)) return true;
  return !isRuled && source !== 'null' && lake !== 'null' && (sameValue?.(source, lake) ?? false);
}

const isForm = (form: ColumnReader, raw: Buffer, lake: string): boolean => isSame(form, form.toJson(raw), lake, false);

const SHOWN_CHARACTERS = 200;
const shorten = (text: string): string =>
  text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}… (${text.length} characters)`;
