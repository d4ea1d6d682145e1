import type { Destination } from '../config/destinations.ts';
import type { Config } from '../config/schema.ts';
import type { TransportSections } from '../config/transport-schema.ts';
import type { SinkTarget } from './sink.ts';

/**
 * Opens a sink for each destination, in their order. The client library of a transport is loaded only if one needs it.
 */
export async function openTargets(
  config: TransportSections & Pick<Config, 'name' | 'format' | 'flat_prefix' | 'values' | 'columns'>,
  destinations: readonly Destination[],
  options: { caseSensitive: boolean },
): Promise<SinkTarget[]> {
  const opened = new Map<Destination, SinkTarget>();
  const openAll = async (transport: Destination['transport'], open: Open): Promise<void> => {
    const its = destinations.filter((destination) => destination.transport === transport);
    if (its.length === 0) return;
    for (const [i, target] of (await open(its)).entries()) opened.set(its[i] as Destination, target);
  };
  const { firehose, kinesis, kafka } = config;
  if (firehose !== undefined) {
    await openAll('firehose', async (its) => (await import('./firehose/open-sinks.ts')).openSinks(firehose, its));
  }
  if (kinesis !== undefined) {
    await openAll('kinesis', async (its) => (await import('./kinesis/open-sinks.ts')).openKinesisSinks(kinesis, its));
  }
  if (kafka !== undefined) {
    await openAll('kafka', async (its) =>
      (await import('./kafka/open-sinks.ts')).openKafkaSinks(kafka, config, its, options),
    );
  }
  return destinations.map((destination) => opened.get(destination) as SinkTarget);
}

type Open = (destinations: readonly Destination[]) => Promise<SinkTarget[]>;
