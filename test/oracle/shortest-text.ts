/**
 * The text of a float in the contract, computed slowly with exact rational numbers: the closest of the decimals with
 * the fewest digits that round to the value, in ECMAScript's notation.
 */
export function shortestText(value: number, bits: 32 | 64): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const key = `${bits} ${value}`;
  let text = textCache.get(key);
  if (text === undefined) {
    text = (value < 0 ? '-' : '') + ecmaScriptText(shortestDecimal(Math.abs(value), bits));
    textCache.set(key, text);
  }
  return text;
}

const textCache = new Map<string, string>();

interface Decimal {
  digits: bigint;
  exponent: number;
}

/** A positive rational number. */
interface Fraction {
  over: bigint;
  under: bigint;
}

function shortestDecimal(value: number, bits: 32 | 64): Decimal {
  const rounding = interval(value, bits);
  // A decimal of few digits is also one of more digits with trailing zeros. So if a length fits, all larger lengths
  // fit.
  let [tooFew, enough] = [0, 17];
  let found = closestOf(enough, value, rounding);
  while (enough - tooFew > 1) {
    const length = (tooFew + enough) >> 1;
    const closest = closestOf(length, value, rounding);
    if (closest) [enough, found] = [length, closest];
    else tooFew = length;
  }
  if (!found) throw new Error(`no text of 17 digits parses to ${value}`);
  return found;
}

/** The closest decimal of at most `length` digits that rounds to the value, if there is one. */
function closestOf(length: number, value: number, { low, exact, high, evenMantissa }: Interval): Decimal | undefined {
  const magnitude = Math.floor(Math.log10(value));
  const candidates: Decimal[] = [];
  // The exponents around the magnitude, because log10 can be off by one.
  for (const exponent of [magnitude - length, magnitude - length + 1, magnitude - length + 2]) {
    const scaled = times(exact, -exponent);
    const floor = scaled.over / scaled.under;
    for (const digits of [floor, floor + 1n]) {
      if (digits > 0n && digits <= 10n ** BigInt(length)) candidates.push({ digits, exponent });
    }
  }
  const inside = candidates.filter((candidate) => {
    const decimal = fraction(candidate);
    const [overLow, underHigh] = [compare(decimal, low), compare(high, decimal)];
    // A tie is rounded to the even mantissa.
    return (overLow > 0 || (evenMantissa && overLow === 0)) && (underHigh > 0 || (evenMantissa && underHigh === 0));
  });
  return inside.reduce<Decimal | undefined>(
    (best, next) => (best === undefined || closer(next, best, exact) ? next : best),
    undefined,
  );
}

interface Interval {
  low: Fraction;
  exact: Fraction;
  high: Fraction;
  evenMantissa: boolean;
}

/** The numbers that round to the value: from halfway to the lower neighbor to halfway to the upper one. */
function interval(value: number, bits: 32 | 64): Interval {
  const view = new DataView(new ArrayBuffer(8));
  const read = (integer: bigint): Fraction => {
    if (bits === 32) view.setUint32(0, Number(integer));
    else view.setBigUint64(0, integer);
    return rational(bits === 32 ? view.getFloat32(0) : view.getFloat64(0));
  };
  if (bits === 32) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  const own = bits === 32 ? BigInt(view.getUint32(0)) : view.getBigUint64(0);
  const exact = read(own);
  const below = read(own - 1n);
  const infinity = bits === 32 ? 0x7f800000n : 0x7ff0000000000000n;
  // The largest value has no upper neighbor, so the distance to the lower one is used.
  const above = own + 1n === infinity ? minus(times2(exact), below) : read(own + 1n);
  return { low: middle(below, exact), exact, high: middle(exact, above), evenMantissa: own % 2n === 0n };
}

function rational(value: number): Fraction {
  let under = 1n;
  let over = value;
  while (!Number.isInteger(over)) {
    over *= 2;
    under *= 2n;
  }
  return { over: BigInt(over), under };
}

const times2 = ({ over, under }: Fraction): Fraction => ({ over: over * 2n, under });
const minus = (a: Fraction, b: Fraction): Fraction => ({
  over: a.over * b.under - b.over * a.under,
  under: a.under * b.under,
});
const middle = (a: Fraction, b: Fraction): Fraction => ({
  over: a.over * b.under + b.over * a.under,
  under: 2n * a.under * b.under,
});
const compare = (a: Fraction, b: Fraction): number => {
  const difference = a.over * b.under - b.over * a.under;
  return difference > 0n ? 1 : difference < 0n ? -1 : 0;
};
const times = ({ over, under }: Fraction, power: number): Fraction =>
  power >= 0 ? { over: over * 10n ** BigInt(power), under } : { over, under: under * 10n ** BigInt(-power) };
const fraction = ({ digits, exponent }: Decimal): Fraction => times({ over: digits, under: 1n }, exponent);
const distance = (decimal: Decimal, exact: Fraction): Fraction => {
  const { over, under } = minus(fraction(decimal), exact);
  return { over: over < 0n ? -over : over, under };
};
/** Whether `a` is closer than `b`. If they are equally close, the even one is, as in ECMAScript and IEEE 754. */
const closer = (a: Decimal, b: Decimal, exact: Fraction): boolean => {
  const difference = compare(distance(a, exact), distance(b, exact));
  return difference < 0 || (difference === 0 && a.digits % 2n === 0n);
};

/** ECMAScript Number::toString, steps 6 to 12, which place the decimal point or the exponent. */
function ecmaScriptText({ digits, exponent }: Decimal): string {
  const text = String(digits).replace(/0+$/, '');
  const length = text.length;
  const point = String(digits).length + exponent;
  if (length <= point && point <= 21) return text + '0'.repeat(point - length);
  if (point > 0 && point <= 21) return `${text.slice(0, point)}.${text.slice(point)}`;
  if (point > -6 && point <= 0) return `0.${'0'.repeat(-point)}${text}`;
  const power = `${point > 0 ? '+' : '-'}${Math.abs(point - 1)}`;
  return length === 1 ? `${text}e${power}` : `${text[0]}.${text.slice(1)}e${power}`;
}
