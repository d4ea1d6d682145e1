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

/** Character sets with characters beyond the BMP. */
const NOT_IN_UTF8MB3: ReadonlySet<string> = new Set(['utf8mb4', 'utf16', 'utf16le', 'utf32', 'gb18030']);
const BINARY = 'binary';
/** Labels of printable ASCII. The servers show other labels of `binary` each in a way of its own. */
const PLAIN_LABELS = /^(?:enum|set)\((?:'[ -&(->@-[\]-~]*'[,)])+$/i;

/** Whether a column has the character set `binary`, for which MySQL shows NULL. */
export const isBinaryCharset = (charset: string | null): boolean => (charset ?? BINARY).toLowerCase() === BINARY;

/**
 * Whether a `?` in the labels of a column can stand for another character. The server shows COLUMN_TYPE in utf8mb3, in
 * SHOW CREATE TABLE too, with `?` for every character that utf8mb3 does not have. The labels of `binary` are bytes.
 */
export function hasUncertainLabels(columnType: string, charset: string | null): boolean {
  if (!/^(?:enum|set)\(/i.test(columnType)) return false;
  if (isBinaryCharset(charset)) return !PLAIN_LABELS.test(columnType);
  return NOT_IN_UTF8MB3.has((charset ?? '').toLowerCase()) && labelsOf(columnType).some((label) => label.includes('?'));
}
