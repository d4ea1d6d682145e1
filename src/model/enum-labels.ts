/** The labels in a COLUMN_TYPE such as `enum('a','it''s')`. It doubles quotes and escapes backslash, NUL, LF and CR. */
export function labelsOf(columnType: string): string[] {
  return [...columnType.matchAll(/'((?:[^'\\]|''|\\.)*)'/gs)].map(([, label]) =>
    (label as string).replace(/''|\\./gs, (sequence) => LABEL_ESCAPES[sequence] ?? sequence),
  );
}

const LABEL_ESCAPES: Readonly<Record<string, string>> = {
  "''": "'",
  '\\\\': '\\',
  '\\0': '\0',
  '\\n': '\n',
  '\\r': '\r',
};

/** Character sets with characters beyond the BMP, and `binary`, whose bytes need not be text. */
const NOT_IN_UTF8MB3: ReadonlySet<string> = new Set(['utf8mb4', 'utf16', 'utf16le', 'utf32', 'gb18030', 'binary']);

/**
 * Whether a `?` in the labels of a column can stand for another character. The server shows COLUMN_TYPE in utf8mb3, in
 * SHOW CREATE TABLE too, with `?` for every character that utf8mb3 does not have.
 */
export const hasUncertainLabels = (columnType: string, charset: string | null): boolean =>
  /^(?:enum|set)\(/i.test(columnType) &&
  NOT_IN_UTF8MB3.has((charset ?? '').toLowerCase()) &&
  labelsOf(columnType).some((label) => label.includes('?'));
