import { describe, expect, test } from 'vitest';
import { doubleText, floatText } from '../../../../src/codec/bytes/number-text.ts';
import { shortestText } from '../../../oracle/shortest-text.ts';

const float = (bits: number): number => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits);
  return view.getFloat32(0);
};

describe('the shortest text of a float32 that parses to the same float32, and the closest of several', () => {
  test('the text is right at and next to every power of two, where the density of floats changes', () => {
    for (let exponent = -149; exponent <= 127; exponent++) {
      const value = 2 ** exponent;
      const view = new DataView(new ArrayBuffer(4));
      view.setFloat32(0, value);
      const bits = view.getUint32(0);
      for (const near of [bits - 1, bits, bits + 1].filter((b) => b > 0).map(float)) {
        expect(floatText(near)).toBe(shortestText(near, 32));
        expect(floatText(-near)).toBe(shortestText(-near, 32));
      }
    }
  });

  test('the text is the next one away from zero when the nearest text misses a power of two', () => {
    expect(floatText(2 ** -44)).toBe('5.684342e-14');
    expect(floatText(2 ** 90)).toBe('1.2379401e+27');
  });

  test('the text is the even one of two equally close decimals', () => {
    expect(floatText(-1770564.25)).toBe('-1770564.2');
    expect(floatText(1892575.75)).toBe('1892575.8');
    expect(floatText(33554450)).toBe(shortestText(33554450, 32));
  });

  test('the text is right for tens of thousands of values over all exponents', () => {
    for (let bits = 1; bits < 0x7f800000; bits += 70_001)
      expect(floatText(float(bits))).toBe(shortestText(float(bits), 32));
  });

  test('the text is right for whole numbers, zeros, the largest and the smallest float', () => {
    const cases = [0, -0, 1, -1, 16777215, 16777216, 16777218, 3.4028234663852886e38, 1.401298464324817e-45];
    expect(cases.map(floatText)).toEqual([
      '0',
      '-0',
      '1',
      '-1',
      '16777215',
      '16777216',
      '16777218',
      '3.4028235e+38',
      '1e-45',
    ]);
  });
});

test('the text of a double is the shortest that parses to the same double, and negative zero keeps its sign', () => {
  const view = new DataView(new ArrayBuffer(8));
  let state = 1n;
  for (let i = 0; i < 5_000; i++) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    view.setBigUint64(0, state);
    const value = view.getFloat64(0);
    if (Number.isFinite(value)) expect(doubleText(value)).toBe(shortestText(value, 64));
  }
  for (let exponent = -1074; exponent < 1024; exponent += 7) {
    expect(doubleText(2 ** exponent)).toBe(shortestText(2 ** exponent, 64));
  }
  expect(doubleText(-0)).toBe('-0');
});
