const SIZES = new Map([
  ['b', 1],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['kib', 1024],
  ['mib', 1024 ** 2],
  ['gib', 1024 ** 3],
]);
const DURATIONS = new Map([
  ['ms', 1],
  ['s', 1e3],
  ['m', 6e4],
  ['h', 3.6e6],
  ['d', 8.64e7],
]);

function parse(text: string | number, units: Map<string, number>, defaultUnit: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,15})?)\s*([a-z]*)$/i.exec(String(text).trim());
  if (!match) return undefined;
  const factor = units.get((match[2] || defaultUnit).toLowerCase());
  return factor === undefined ? undefined : Math.round(Number(match[1]) * factor);
}

/** `512KiB`, `1MB`, `1GiB` or a bare number of bytes, in bytes; undefined if the text is neither. */
export const parseSize = (text: string | number): number | undefined => parse(text, SIZES, 'b');

/** `100ms`, `5s`, `2m`, `1h`, `1d` or a bare number of milliseconds, in milliseconds; undefined for another text. */
export const parseDuration = (text: string | number): number | undefined => parse(text, DURATIONS, 'ms');
