/** Numbers and times as a person reads them. All of them are pure. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time: `0.3 s`, `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${trimmed(seconds, 1)} s`;
  const whole = Math.round(seconds);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return twoUnits(whole, MINUTE, 'min', 1, 's');
  if (whole < DAY) return twoUnits(whole, HOUR, 'h', MINUTE, 'min');
  return twoUnits(whole, DAY, 'd', HOUR, 'h');
}

function twoUnits(value: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((value % large) / small);
  const first = `${Math.floor(value / large).toLocaleString('en-US')} ${largeUnit}`;
  return rest === 0 ? first : `${first} ${rest} ${smallUnit}`;
}

/** How long ago something was, in one unit: `now`, `12 s ago`, `3 min ago`, `5 d ago`. */
export function timeAgo(seconds: number): string {
  const units: [number, string][] = [
    [DAY, 'd'],
    [HOUR, 'h'],
    [MINUTE, 'min'],
    [1, 's'],
  ];
  const found = units.find(([size]) => seconds >= size);
  return found === undefined ? 'now' : `${Math.floor(seconds / found[0]).toLocaleString('en-US')} ${found[1]} ago`;
}

const SI_PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/** Three digits and a prefix of the SI: `1.23 M`. `digits` says how many decimals a number below 1,000 can have. */
function si(value: number, digits: number): [text: string, prefix: string] {
  let scaled = Math.abs(value);
  let power = 0;
  // 999.6 is shown as 1.00 k, not as 1,000.
  while (scaled >= 999.5 && power < SI_PREFIXES.length - 1) {
    scaled /= 1000;
    power += 1;
  }
  const decimals = power === 0 ? digits : scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  const text = power === 0 ? trimmed(scaled, decimals) : scaled.toFixed(decimals);
  return [value < 0 ? `-${text}` : text, SI_PREFIXES[power] ?? ''];
}

/** A decimal with at most `digits` decimals, and none that says nothing. */
const trimmed = (value: number, digits: number): string => String(Number(value.toFixed(digits)));

/** A number of things: exact below 10,000, then `12.3 k`. */
export function count(value: number): string {
  if (Math.abs(value) < 10_000) return exactCount(value);
  const [text, prefix] = si(value, 0);
  return `${text} ${prefix}`;
}

/** Every digit: `1,234,567`. */
export const exactCount = (value: number): string => Math.round(value).toLocaleString('en-US');

/** Bytes with the prefixes of the SI: `512 B`, `1.50 kB`, `64.0 MB`. */
export function byteSize(value: number): string {
  const [text, prefix] = si(value, 0);
  return `${text} ${prefix}B`;
}

/** `12.5 /s`, `1.20 k/s` */
export function perSecond(value: number): string {
  const [text, prefix] = si(value, value < 10 ? 1 : 0);
  return `${text} ${prefix}/s`;
}

export const bytesPerSecond = (value: number): string => `${byteSize(value)}/s`;

/** `42.5 %`; never 100 % before the end, and never 0 % after the beginning. */
export function percent(fraction: number): string {
  if (fraction <= 0) return '0 %';
  if (fraction >= 1) return '100 %';
  return `${Math.min(99.9, Math.max(0.1, fraction * 100)).toFixed(1)} %`;
}

/** The time of day, and the date if it is another day than `now`. Both are milliseconds since 1970. */
export function clockTime(at: number, now: number): string {
  const time = new Date(at);
  const clock = time.toLocaleTimeString('en-GB');
  return time.toDateString() === new Date(now).toDateString() ? clock : `${isoDate(time)} ${clock}`;
}

/** Date, time and zone, in the zone of the reader. */
export function fullTime(at: number): string {
  const time = new Date(at);
  const zone = time.toLocaleTimeString('en-GB', { timeZoneName: 'short' });
  return `${isoDate(time)} ${zone}`;
}

const isoDate = (time: Date): string => time.toLocaleDateString('sv-SE');

/** `1 table`, `2 tables`, `1,200 tables` */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${exactCount(value)} ${value === 1 ? one : many}`;
