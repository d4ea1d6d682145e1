import { describe, expect, test } from 'vitest';
import { revenueChart, type SourceRevenue } from '../../../../src/local/demo/revenue-chart.ts';

const ROWS: SourceRevenue[] = [
  { source: 'ads', orders: '1200', revenue: '123456.70' },
  { source: 'referral', orders: '7', revenue: '61728.35' },
  { source: 'email', orders: '1', revenue: '0.00' },
];

describe('the chart of revenue by source', () => {
  test('has labels on the left, numbers on the right of their columns, and bars in proportion to the highest', () => {
    expect(revenueChart(ROWS, { columns: 80, unicode: true })).toBe(
      [
        'source    orders     revenue',
        `ads        1,200  123,456.70  ${'█'.repeat(40)}`,
        `referral       7   61,728.35  ${'█'.repeat(20)}`,
        'email          1        0.00',
      ].join('\n'),
    );
  });

  test('is plain ASCII without Unicode', () => {
    const chart = revenueChart(ROWS, { columns: 80, unicode: false });
    expect(chart).toMatch(/^ads .* #{40}$/m);
    expect(chart).toMatch(/^referral .* #{20}$/m);
    expect(chart).toMatch(/^[\x20-\x7e\n]+$/);
  });

  test('keeps to the columns of the terminal, with bars or without', () => {
    for (let columns = 1; columns <= 120; columns++) {
      for (const unicode of [true, false]) {
        const lengths = revenueChart(ROWS, { columns, unicode })
          .split('\n')
          .map((line) => [...line].length);
        // The numbers are never cut.
        expect(Math.max(...lengths)).toBeLessThanOrEqual(Math.max(columns, 28));
      }
    }
    expect(revenueChart(ROWS, { columns: 28, unicode: true })).not.toContain('█');
  });

  test('shows parts of a cell as eighths', () => {
    const rows = [
      { source: 'a', orders: '1', revenue: '1000' },
      { source: 'b', orders: '1', revenue: '490.625' },
      { source: 'c', orders: '1', revenue: '999.9' },
    ];
    const bars = revenueChart(rows, { columns: 26 + 2 + 4, unicode: true })
      .split('\n')
      .slice(1)
      .map((line) => /[█▏▎▍▌▋▊▉]*$/u.exec(line)?.[0]);
    const [whole = '', half = '', nearly = ''] = bars as string[];
    expect(half.length).toBeLessThan(whole.length);
    expect(half).toMatch(/^█+[▏▎▍▌▋▊▉]$/u);
    // Never more than the whole, and not a cell shorter either.
    expect(nearly).toBe(whole);
  });

  test('has no bar for a revenue of zero or less, and none at all if nothing was earned', () => {
    const rows = [
      { source: 'returns', orders: '3', revenue: '-12.50' },
      { source: 'none', orders: '0', revenue: '0' },
    ];
    expect(revenueChart(rows, { columns: 80, unicode: true })).toBe(
      'source   orders  revenue\nreturns       3   -12.50\nnone          0        0',
    );
    expect(revenueChart([], { columns: 80, unicode: true })).toBe('source  orders  revenue');
  });

  test('shows each digit of an amount that a double would round', () => {
    const rows = [{ source: 'ads', orders: '9007199254740993', revenue: '90071992547409.93' }];
    expect(revenueChart(rows, { columns: 80, unicode: true })).toContain(
      '9,007,199,254,740,993  90,071,992,547,409.93',
    );
  });

  test('aligns names of any script, and shows no control characters of them', () => {
    const rows = [
      { source: 'Über😀', orders: '1', revenue: '1' },
      { source: 'a\u001b[31m', orders: '1', revenue: '1' },
    ];
    const [, first = '', second = ''] = revenueChart(rows, { columns: 10, unicode: true }).split('\n');
    expect([...first].length).toBe([...second].length);
    expect(second).toContain('a?[31m');
  });
});
