import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createFaults, type FaultDecision } from '../../../../src/local/firehose/fault-injector.ts';
import { checkFaultPlan, type FaultPlan } from '../../../../src/local/firehose/faults.ts';

type Rules = FaultPlan['rules'];
const faults = (rules: Rules, seed = 1, now?: () => number) => createFaults(checkFaultPlan({ seed, rules }), now);
const records = (count: number, size = 10) => Array.from({ length: count }, () => Buffer.alloc(size, 'x'));

/** The numbers of the calls from 1 to `count` on which any rule fires. */
function firing(rules: Rules, count: number, seed = 1): number[] {
  const made = faults(rules, seed);
  return Array.from({ length: count }, (_, i) => i + 1).filter((call) => made.decide(call, 's', records(3)));
}

const failed = (decision: FaultDecision | undefined): number[] =>
  decision?.results.flatMap(({ code }, i) => (code === null ? [] : [i])) ?? [];

describe('when a rule fires', () => {
  test('the same seed gives the same faults, and another seed gives other faults', () => {
    const rules: Rules = [
      { fault: 'partial', rate: 0.5, records: 0.5, code: 'InternalFailure', stored: 0.5 },
      { fault: 'error', type: 'InternalFailure', rate: 0.3, stored: 0.5 },
      { fault: 'slow', ms: [1, 1000] },
    ];
    const run = (seed: number) => {
      const made = faults(rules, seed);
      return Array.from({ length: 200 }, (_, i) => made.decide(i + 1, 's', records(5)));
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });

  test('the decision about a call depends on its number and not on earlier calls', () => {
    const rules: Rules = [{ fault: 'partial', rate: 0.5, records: 0.5 }];
    const one = faults(rules);
    const all = Array.from({ length: 50 }, (_, i) => one.decide(i + 1, 's', records(5)));
    const other = faults(rules);
    expect(Array.from({ length: 50 }, (_, i) => other.decide(50 - i, 's', records(5))).reverse()).toEqual(all);
  });

  test.each([0, 0.02, 0.3, 0.9, 1])('a rule with a rate of %f fires for that share of the calls', (rate) => {
    const share = firing([{ fault: 'lost', rate }], 20_000).length / 20_000;
    expect(Math.abs(share - rate)).toBeLessThanOrEqual(rate === 0 || rate === 1 ? 0 : 0.01);
  });

  test('two rules of the same rate fire independently of each other', () => {
    const both =
      firing(
        [
          { fault: 'lost', rate: 0.5 },
          { fault: 'hang', rate: 0.5 },
        ],
        10_000,
      ).length / 10_000;
    expect(both).toBeGreaterThan(0.72);
    expect(both).toBeLessThan(0.78);
  });

  test('a rule fires in its range of calls, both ends included, at most `times` times', () => {
    expect(firing([{ fault: 'lost', calls: [3, 5] }], 10)).toEqual([3, 4, 5]);
    expect(firing([{ fault: 'lost', calls: [4, 9], times: 2 }], 10)).toEqual([4, 5]);
  });

  test('a rule fires for the streams that match its pattern', () => {
    const made = faults([{ fault: 'lost', stream: 'a*.b' }]);
    const fires = (stream: string) => made.decide(1, stream, records(1)) !== undefined;
    expect(['a.b', 'axx.b', 'axb', 'xa.b', 'a.bb'].filter(fires)).toEqual(['a.b', 'axx.b']);
  });

  test('the first rule that fires and applies to the records decides', () => {
    const made = faults([
      { fault: 'partial', records: [7] },
      { fault: 'poison', text: 'bad' },
      { fault: 'partial', records: 0 },
      { fault: 'empty', calls: [2, 2] },
      { fault: 'html' },
    ]);
    expect([1, 2].map((call) => made.decide(call, 's', records(3)))).toMatchObject([
      { fault: 'html', rule: 4 },
      { fault: 'empty', rule: 3 },
    ]);
  });

  test('a rule that does not apply to the records does not use up its `times`', () => {
    const made = faults([{ fault: 'partial', records: [2], times: 1 }]);
    expect(made.decide(1, 's', records(2))).toBeUndefined();
    expect(failed(made.decide(2, 's', records(3)))).toEqual([2]);
    expect(made.decide(3, 's', records(3))).toBeUndefined();
  });

  test('a reset is found before the body is read, and does not count as a decision', () => {
    const made = faults([
      { fault: 'lost', times: 1 },
      { fault: 'reset', calls: [2, 3], times: 1 },
    ]);
    expect([1, 2, 3].map((call) => made.findReset(call))).toEqual([undefined, 1, undefined]);
    expect(made.decide(2, 's', records(1))).toMatchObject({ fault: 'lost' });
  });
});

describe('the effect of a rule', () => {
  const decide = (rule: Rules[number], given = records(4), call = 1) => faults([rule]).decide(call, 's', given);

  test('partial fails the chosen records and stores the others', () => {
    expect(decide({ fault: 'partial', records: [0, 2] })?.results).toEqual([
      { stored: false, code: 'ServiceUnavailableException' },
      { stored: true, code: null },
      { stored: false, code: 'ServiceUnavailableException' },
      { stored: true, code: null },
    ]);
  });

  test('partial by chance fails and stores the configured shares of the records', () => {
    const results = decide(
      { fault: 'partial', records: 0.3, code: 'InternalFailure', stored: 0.25 },
      records(20_000, 0),
    )!.results;
    const bad = results.filter(({ code }) => code === 'InternalFailure');
    expect(bad.length / 20_000).toBeCloseTo(0.3, 1);
    expect(bad.filter(({ stored }) => stored).length / bad.length).toBeCloseTo(0.25, 1);
    expect(results.every(({ stored, code }) => stored || code !== null)).toBe(true);
  });

  test('all records of a call are stored, or none', () => {
    const made = faults([{ fault: 'lost', stored: 0.5 }]);
    const calls = Array.from({ length: 400 }, (_, i) => [
      ...new Set(made.decide(i + 1, 's', records(4))!.results.map(({ stored }) => stored)),
    ]);
    expect(calls.every((stored) => stored.length === 1)).toBe(true);
    const kept = calls.filter(([stored]) => stored).length;
    expect(kept).toBeGreaterThan(150);
    expect(kept).toBeLessThan(250);
  });

  test('slow delays by a time between its two limits', () => {
    const made = faults([{ fault: 'slow', ms: [100, 200] }]);
    const waits = Array.from(
      { length: 100 },
      (_, i) => (made.decide(i + 1, 's', records(1))!.response as { afterMs: number }).afterMs,
    );
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(100);
    expect(Math.max(...waits)).toBeLessThanOrEqual(200);
    expect(new Set(waits).size).toBeGreaterThan(20);
  });

  test('poison fails the call or only its records, with and without gzip', () => {
    const given = [Buffer.from('{"a":1}'), Buffer.from('{"a":"BAD"}'), gzipSync('{"b":"BAD"}'), gzipSync('{"b":1}')];
    expect(decide({ fault: 'poison', text: 'BAD' }, given)).toMatchObject({
      results: Array.from({ length: 4 }, () => ({ stored: false })),
      response: {
        kind: 'error',
        type: 'ValidationException',
        status: 400,
        message: expect.stringContaining('records.2'),
      },
    });
    expect(decide({ fault: 'poison', text: 'BAD', fails: 'slot', code: 'MadeUp' }, given)?.results).toEqual([
      { stored: true, code: null },
      { stored: false, code: 'MadeUp' },
      { stored: false, code: 'MadeUp' },
      { stored: true, code: null },
    ]);
  });
});

describe('a quota', () => {
  function over(rule: object) {
    let time = 0;
    const made = faults([{ fault: 'quota', ...rule } as Rules[number]], 1, () => time);
    return {
      wait: (ms: number) => (time += ms),
      put: (count: number, size = 10, stream = 's') => made.decide(1, stream, records(count, size)),
    };
  }

  test('a quota of records fails the records over it in a second', () => {
    const { put, wait } = over({ records_per_second: 5 });
    expect(failed(put(3))).toEqual([]);
    expect(failed(put(4))).toEqual([2, 3]);
    wait(400);
    expect(failed(put(4))).toEqual([2, 3]);
    wait(60_000);
    expect(failed(put(6))).toEqual([5]);
  });

  test('each stream has its own quota', () => {
    const { put } = over({ records_per_second: 1 });
    expect([put(1, 1, 'a'), put(1, 1, 'b')]).toEqual([undefined, undefined]);
    expect(failed(put(1, 1, 'a'))).toEqual([0]);
  });

  test('a call over a quota of requests fails with Slow down.', () => {
    const { put, wait } = over({ requests_per_second: 2 });
    expect([put(500), put(1)]).toEqual([undefined, undefined]);
    expect(put(1)?.response).toMatchObject({ type: 'ServiceUnavailableException', status: 503, message: 'Slow down.' });
    wait(500);
    expect(put(1)).toBeUndefined();
  });

  test('a quota of bytes holds over time, and a record larger than the quota passes', () => {
    const { put, wait } = over({ bytes_per_second: 1000, over: 'call' });
    let sent = 0;
    for (let ms = 0; ms < 60_000; ms += 50, wait(50)) if (!put(1, 5000)) sent += 5000;
    expect(sent).toBeGreaterThanOrEqual(60_000);
    expect(sent).toBeLessThanOrEqual(67_000);
  });

  test('a rejected call does not use the quota', () => {
    const { put, wait } = over({ records_per_second: 2, over: 'call' });
    expect(put(2)).toBeUndefined();
    for (let i = 0; i < 100; i++) expect(put(2)?.results.map(({ stored }) => stored)).toEqual([false, false]);
    wait(500);
    expect(put(1)).toBeUndefined();
  });
});
