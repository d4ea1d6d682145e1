import { expect, test } from 'vitest';
import { type Document, readFile } from '../../deploy/deploy-files.ts';
import { COUNTERS, LABEL_NAMES, METRIC_NAMES } from '../../deploy/metric-names.ts';
import { readQuery } from '../../deploy/promql.ts';

const DATA_SOURCE = `$\{datasource}`;
const board = JSON.parse(readFile('config/deploy/grafana/cdc.json'));
const panels: Document[] = board.panels.filter(({ type }: Document) => type !== 'row');
/** Grafana replaces its variables before Prometheus sees a query. */
const filledIn = (query: string): string => query.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*');
const queries: [title: string, query: string][] = panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }: Document) => [title, filledIn(expr)]),
);

test('the board is one that Grafana provisions', () => {
  // Grafana 11 writes 39; later ones migrate it.
  expect(board).toMatchObject({ id: null, uid: 'cdc', title: 'cdc', schemaVersion: 39 });
  const ids = board.panels.map(({ id }: Document) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const { list } = board.templating;
  expect(list.map(({ name }: Document) => name)).toEqual(['datasource', 'name', 'instance']);
  for (const { datasource, targets } of panels) {
    expect([datasource, ...targets.map((target: Document) => target.datasource)]).toEqual(
      Array(targets.length + 1).fill({ type: 'prometheus', uid: DATA_SOURCE }),
    );
  }
});

test('no panel covers another', () => {
  const cells = new Set<string>();
  for (const {
    gridPos: { x, y, w, h },
    title,
  } of board.panels) {
    expect([title, x + w <= 24]).toEqual([title, true]);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        expect([title, cells.has(`${column},${row}`)]).toEqual([title, false]);
        cells.add(`${column},${row}`);
      }
    }
  }
});

test.each(queries)('%s: %s is a query of metrics that cdc has', (_, query) => {
  const { metrics, labels } = readQuery(query);
  expect(metrics.length).toBeGreaterThan(0);
  expect(metrics.filter((name) => !METRIC_NAMES.has(name))).toEqual([]);
  expect(labels.filter((name) => !LABEL_NAMES.has(name))).toEqual([]);
  const bare = metrics.filter((name) => COUNTERS.has(name) && !/rate\(|increase\(/.test(query));
  expect(bare).toEqual([]);
});

test('the variables ask for metrics and labels that cdc has', () => {
  const asked = board.templating.list.flatMap(({ definition }: Document) => definition ?? []);
  expect(asked.length).toBe(2);
  for (const text of asked) {
    const [, query = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(text) ?? [];
    expect(readQuery(query.replace('$name', '.*')).metrics).toEqual(['cdc_build_info']);
    expect([label, LABEL_NAMES.has(label)]).toEqual([label, true]);
  }
});

test('what the board names of the runbook is there', () => {
  const headings = [...readFile('docs/RUNBOOK.md').matchAll(/^### (\w+)$/gm)].map((match) => match[1]);
  const named = panels.flatMap(({ description }) => /docs\/RUNBOOK\.md: (\w+)/.exec(description)?.[1] ?? []);
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((name) => !headings.includes(name))).toEqual([]);
});
