/** `"name"`, as in standard SQL. */
export const doubleQuoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** `` `name` `` */
export const backticked = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

/** `'text'`, in dialects where a backslash is an ordinary character. */
export const quotedText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** `'text'`, in dialects where a backslash escapes. */
export const escapedText = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** Numbers in the place of `false` and `true`. */
export const wordsAsNumbers = (text: string): string =>
  `CASE ${text} WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE ${text} END`;

/** The most digits of a DECIMAL in most warehouses. */
export const DECIMAL_DIGITS_MAX = 38;
/** A double holds every decimal of so many digits. */
export const DOUBLE_DIGITS = 15;

/** Notes on types that several dialects share. */
export const NOTES = {
  date: 'a date with a zero month or day, or that is not in the calendar, is NULL',
  time: 'the text of a duration, such as -838:59:59: no time of day',
  decimal: 'text: no numeric type here has so many digits',
  document: 'text of JSON',
  unsigned: 'no type here is unsigned, so a wider one',
} as const;
