import { z } from 'zod';
import { firehose } from './firehose-schema.ts';
import { kafka } from './kafka-schema.ts';
import { kinesis } from './kinesis-schema.ts';
import { byTable } from './sink-schema.ts';
import { TRANSPORTS, type Transport } from './transports.ts';

/** Matches every table, so that no table of the routes is left without a transport. */
const REST = '*.*';

export const transportSections = {
  firehose: firehose.optional().describe('Events are sent to Amazon Data Firehose.'),
  kinesis: kinesis.optional().describe('Events are sent to Amazon Kinesis Data Streams, see docs/KINESIS.md.'),
  kafka: kafka.optional().describe('Events are sent to Apache Kafka, see docs/KAFKA.md.'),
  routes: byTable(z.enum(TRANSPORTS))
    .default({})
    .describe(
      'Only where several transports are configured: that of each table, by table pattern. The first matching pattern applies; the last one is *.*.',
    ),
};

const sections = z.strictObject(transportSections);
export type TransportSections = z.output<typeof sections>;
export type FirehoseConfig = NonNullable<TransportSections['firehose']>;

/** Checks that each table has exactly one transport. */
export function checkTransports(config: TransportSections, context: z.RefinementCtx): void {
  const { routes } = config;
  const configured = TRANSPORTS.filter((name) => config[name] !== undefined);
  const [first] = configured;
  const issue = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
  if (first === undefined) return issue([TRANSPORTS[0]], `is missing; set one of ${TRANSPORTS.join(', ')}`);
  const patterns = Object.keys(routes);
  for (const pattern of patterns) {
    const transport = routes[pattern] as Transport;
    if (config[transport] === undefined) issue(['routes', pattern], `names ${transport}, which is not configured`);
  }
  if (configured.length > 1 && patterns.at(-1) !== REST) {
    issue(
      ['routes'],
      `must say where each table goes, because ${configured.join(' and ')} are configured: end it with "${REST}": ${first}`,
    );
  }
  const used = new Set(Object.values(routes));
  for (const name of configured) {
    if (patterns.length > 0 && !used.has(name)) issue([name], 'receives nothing: routes does not name it');
  }
}
