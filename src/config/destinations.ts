import { compileRoutes, type Routes } from '../model/routes.ts';
import { compileTableFilter } from '../model/table-filter.ts';
import type { Config } from './schema.ts';
import { TRANSPORTS, type Transport } from './transports.ts';

/** A stream of a transport that the events of some tables go to. */
export interface Destination {
  transport: Transport;
  stream: string;
  /** As messages, metrics and dead letters name it: the stream, with its transport where there are several. */
  name: string;
}

export interface Destinations {
  all: readonly Destination[];
  /** The index in `all` for the events of a table. */
  indexOf(schema: string, table: string): number;
}

type RoutingConfig = Pick<Config, 'routes' | Transport>;

/** Where the events of each table go: the transport by `routes`, its stream by the routes of the transport. */
export function compileDestinations(config: RoutingConfig, options: { caseSensitive: boolean }): Destinations {
  const transports = TRANSPORTS.filter((transport) => config[transport] !== undefined);
  const all: Destination[] = [];
  const offsets = new Map<Transport, { first: number; streamOf: (schema: string, table: string) => number }>();
  for (const transport of transports) {
    const { streams, streamOf } = routesOf(config, transport, options);
    offsets.set(transport, { first: all.length, streamOf });
    for (const each of streams) {
      const name = transports.length > 1 && each !== transport ? `${transport}/${each}` : each;
      all.push({ transport, stream: each, name });
    }
  }
  const entries = Object.entries(config.routes).map(([pattern, transport]) => ({
    matches: compileTableFilter([pattern], options),
    transport,
  }));
  return {
    all,
    indexOf(schema, table) {
      const transport = entries.find(({ matches }) => matches(schema, table))?.transport ?? transports[0];
      const { first, streamOf } = offsets.get(transport as Transport) as NonNullable<ReturnType<typeof offsets.get>>;
      return first + streamOf(schema, table);
    },
  };
}

/** The streams of a transport. Kafka has none: the topic of an event follows from its table. */
function routesOf(config: RoutingConfig, transport: Transport, options: { caseSensitive: boolean }): Routes {
  const section = config[transport] as NonNullable<Config[Transport]>;
  if (!('stream' in section)) return compileRoutes({}, transport, options);
  return compileRoutes(section.routes, section.stream, options);
}
