import { describe, expect, test } from 'vitest';
import { ALERT_CASES } from '../../deploy/alert-cases.ts';
import { type Document, readFile, readYaml } from '../../deploy/deploy-files.ts';
import { COUNTERS, LABEL_NAMES, METRIC_NAMES } from '../../deploy/metric-names.ts';
import { readQuery } from '../../deploy/promql.ts';

/** Without Prometheus; test/integration/deploy/prometheus.test.ts runs its own tools over the same file. */

const { groups } = readYaml('config/deploy/prometheus/cdc-alerts.yaml');
const rules: Document[] = groups.flatMap((group: Document) => group.rules);
const runbook = readFile('docs/RUNBOOK.md');
/** The text of each section of an alert. */
const sections = new Map(
  [...runbook.matchAll(/^### (Cdc\w+)\n([\s\S]*?)(?=^##)/gm)].map((match) => [match[1], match[2] as string]),
);

test('every alert has a test, and every test an alert', () => {
  const names = rules.map(({ alert }) => alert);
  expect(ALERT_CASES.map(({ alert }) => alert)).toEqual(names);
  expect(new Set(names).size).toBe(names.length);
});

test('every alert of the runbook is one of the rules, in their order', () => {
  expect([...sections.keys()]).toEqual(rules.map(({ alert }) => alert));
});

describe.each(rules.map((rule) => [rule.alert, rule] as const))('%s', (alert, { expr, labels, annotations }) => {
  test('asks for metrics and labels that cdc has', () => {
    const { metrics, labels: named } = readQuery(expr);
    expect(metrics.length).toBeGreaterThan(0);
    expect(metrics.filter((name) => !METRIC_NAMES.has(name))).toEqual([]);
    expect(named.filter((name) => !LABEL_NAMES.has(name))).toEqual([]);
    const bare = metrics.filter((name) => COUNTERS.has(name) && !/rate\(|increase\(/.test(expr));
    expect(bare).toEqual([]);
  });

  test('has a severity, and a summary that names labels it has', () => {
    expect(['critical', 'warning']).toContain(labels.severity);
    const named = [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map((match: string[]) => match[1] as string);
    const known = Object.keys(ALERT_CASES.find((one) => one.alert === alert)?.labels ?? {});
    expect(named.filter((name: string) => !known.includes(name))).toEqual([]);
  });

  test('names a section of the runbook: what it means, what to look at, what to do', () => {
    expect(annotations.runbook).toBe(`docs/RUNBOOK.md#${alert.toLowerCase()}`);
    const section = sections.get(alert) ?? '';
    for (const part of ['**Means:**', '**Look at:**', '**Do:**'])
      expect([part, section.includes(part)]).toEqual([part, true]);
  });
});
