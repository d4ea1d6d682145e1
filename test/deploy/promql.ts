import { parser } from '@prometheus-io/lezer-promql';

/** What a query of Prometheus names, by the grammar of Prometheus itself. @throws Error if it is no query */
export function readQuery(query: string): { metrics: string[]; labels: string[] } {
  const metrics = new Set<string>();
  const labels = new Set<string>();
  parser.parse(query).iterate({
    enter({ type, from, to }) {
      const text = query.slice(from, to);
      if (type.isError) throw new Error(`no query at ${from}: ${query}`);
      if (type.name === 'VectorSelector') {
        const name = /^[a-zA-Z_:][\w:]*/.exec(text)?.[0];
        if (name !== undefined) metrics.add(name);
      }
      if (type.name === 'LabelName') labels.add(text);
    },
  });
  return { metrics: [...metrics], labels: [...labels] };
}
