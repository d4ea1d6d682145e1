import { METRICS } from '../../src/admin/metric-definitions.ts';

/** Prometheus adds this one for each target. */
const OF_PROMETHEUS = ['up'];

export const METRIC_NAMES: ReadonlySet<string> = new Set([...METRICS.map(({ name }) => name), ...OF_PROMETHEUS]);

/** Labels that a query can name: those of the metrics, and those of a target. */
export const LABEL_NAMES: ReadonlySet<string> = new Set([
  ...METRICS.flatMap(({ labels }) => labels),
  'job',
  'instance',
  // config/deploy/prometheus/scrape-kubernetes.yaml; elsewhere it is missing, and all are of one.
  'namespace',
]);

/** Metrics that only go up, so that a query must look at how they change. */
export const COUNTERS: ReadonlySet<string> = new Set(
  [...METRIC_NAMES].filter(
    (name) => name.endsWith('_total') || METRICS.find((it) => it.name === name)?.kind === 'counter',
  ),
);
