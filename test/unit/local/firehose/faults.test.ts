import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkFaultPlan, parseFaultPlan } from '../../../../src/local/firehose/faults.ts';

function rejectionOf(plan: unknown): string {
  try {
    checkFaultPlan(plan, 'plan.json');
  } catch (error) {
    expect(error).toMatchObject({ name: 'CdcError', exitCode: 2, message: 'plan.json is not a fault plan' });
    return (error as { why: string }).why;
  }
  throw new Error('the plan was accepted');
}

const rule = (rule: object) => ({ rules: [rule] });

describe('fault plans', () => {
  test('a plan gets its defaults', () => {
    expect(checkFaultPlan(rule({ fault: 'partial', records: 0.3 }))).toEqual({
      seed: 1,
      rules: [{ fault: 'partial', records: 0.3, code: 'ServiceUnavailableException', stored: false, rate: 1 }],
    });
    expect(checkFaultPlan(rule({ fault: 'lost' })).rules[0]).toMatchObject({ stored: true });
    expect(checkFaultPlan(rule({ fault: 'html' })).rules[0]).toMatchObject({ status: 502, stored: false });
  });

  test.each([
    [{}, 'rules: must be a list of rules'],
    [{ rules: [], sead: 3 }, 'unknown key sead'],
    [{ rules: [], seed: 1.5 }, 'seed: must be a whole number'],
    [rule({ fault: 'partail' }), 'rules[0].fault: must be one of partial, all-fail, error, lost, reset'],
    [{ rules: ['reset'] }, 'rules[0]: must be a rule such as {"fault": "reset"}'],
    [rule({ fault: 'reset', often: 3 }), 'rules[0]: unknown key often'],
    [rule({ fault: 'reset', rate: 20 }), 'rules[0].rate: must be a number from 0 to 1'],
    [rule({ fault: 'reset', calls: [20, 10] }), 'rules[0].calls: must not end before it begins'],
    [rule({ fault: 'reset', calls: 7 }), 'rules[0].calls: must be two numbers, the first and the last call'],
    [rule({ fault: 'reset', times: 0 }), 'rules[0].times: must be a whole number of at least 1'],
    [rule({ fault: 'reset', stream: 'a' }), 'rules[0].stream: cannot be known before the body is read'],
    [rule({ fault: 'partial' }), 'rules[0].records: must be a chance from 0 to 1, or a list of record indexes from 0'],
    [rule({ fault: 'partial', records: 'all' }), 'rules[0].records: must be a chance from 0 to 1'],
    [
      rule({ fault: 'partial', records: 1, code: 'SlowDown' }),
      'rules[0].code: must be one of ServiceUnavailableException, InternalFailure',
    ],
    [
      rule({ fault: 'all-fail', stored: 0.5 }),
      'rules[0].stored: goes with InternalFailure only, because a throttled record is not stored',
    ],
    [rule({ fault: 'error' }), 'rules[0].type: must be text'],
    [
      rule({ fault: 'error', type: 'TeapotException' }),
      'rules[0].status: is needed with a type that is not one of Firehose',
    ],
    [
      rule({ fault: 'error', type: 'InternalFailure', stored: 'no' }),
      'rules[0].stored: must be true, false or a number from 0 to 1',
    ],
    [rule({ fault: 'slow' }), 'rules[0].ms: must be a whole number of ms, or two: the minimum and the maximum'],
    [rule({ fault: 'html', status: 404 }), 'rules[0].status: must be 200, 502 or 503'],
    [rule({ fault: 'quota' }), 'rules[0]: needs records_per_second, requests_per_second or bytes_per_second'],
    [rule({ fault: 'poison', text: '' }), 'rules[0].text: must not be empty'],
    [
      rule({ fault: 'poison', text: 'x', code: 'Bad' }),
      'rules[0].code: is not an error of Firehose that a whole call can fail with',
    ],
  ])('the plan %j is rejected with the place and the reason', (plan, why) => {
    expect(rejectionOf(plan)).toContain(why);
  });

  test('a rejection lists all problems', () => {
    expect(rejectionOf({ rules: [{ fault: 'lost', rate: -1 }, { fault: 'nope' }], x: 1 }).split('\n')).toHaveLength(3);
  });

  test('a plan that is not JSON is rejected', () => {
    expect(() => parseFaultPlan('{"rules": [', 'p.json')).toThrowError(
      expect.objectContaining({ exitCode: 2, why: expect.stringContaining('it is not JSON') }),
    );
  });

  test('the plans of the documentation are valid, and its table has every fault', () => {
    const page = readFileSync('docs/LOCAL-FIREHOSE.md', 'utf8');
    const plans = [...page.matchAll(/```json\n(\{\s*"[^`]*?"rules"[^`]*?)```/g)].map((match) => match[1]!);
    expect(plans.length).toBeGreaterThan(0);
    for (const plan of plans) parseFaultPlan(plan, 'docs');
    const names = /must be one of (.*)/.exec(rejectionOf(rule({ fault: '' })))![1]!.split(', ');
    expect(names.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
  });
});
