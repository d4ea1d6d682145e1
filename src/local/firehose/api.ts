import { AwsError, streamNotFound, validationError } from './aws-error.ts';
import type { CallLog, CallLogEntry } from './call-log.ts';
import { describe, readCreateDeliveryStream } from './create-request.ts';
import { createDeliveryStream, type DeliveryStream } from './delivery-stream.ts';
import type { SpoolFolders } from './object-buffer.ts';
import { createPutHandler, type PutHandler } from './put-handler.ts';
import type { Json } from './put-request.ts';
import { type StreamOptions, type StreamSettings, streamNameProblems, validateStream } from './stream-options.ts';

/** Firehose's operations over the streams there are; how they came over the wire is the server's matter. */
export interface Api {
  puts: PutHandler;
  /** All the others. */
  operations: ReadonlyMap<string, (input: Json) => Promise<Json>>;
  /** Delivers every buffer of every stream. */
  flush(): Promise<void>;
}

export interface ApiOptions {
  streams: StreamSettings[];
  onUnknownStream: ((name: string) => StreamOptions | undefined) | undefined;
  folders: SpoolFolders;
  region: string;
  account: string;
  ledger: CallLog | undefined;
  onCall: ((entry: CallLogEntry) => void) | undefined;
  log: (line: string) => void;
}

export function createApi(options: ApiOptions): Api {
  const { streams: initial, onUnknownStream, folders, region, account, ledger, onCall, log } = options;
  const streams = new Map<string, DeliveryStream>();
  const deleting = new Set<Promise<void>>();
  const add = (settings: StreamSettings): DeliveryStream => {
    const stream = createDeliveryStream(settings, folders, log);
    streams.set(settings.name, stream);
    return stream;
  };
  for (const settings of initial) add(settings);

  const arn = (name: string) => `arn:aws:firehose:${region}:${account}:deliverystream/${name}`;

  function find(name: string): DeliveryStream {
    const found = streams.get(name);
    if (found) return found;
    const options = onUnknownStream?.(name);
    if (!options) throw streamNotFound(name, account);
    const stream = add(validateStream({ ...options, name }));
    log(`created stream ${name}`);
    return stream;
  }

  function named(input: Json): string {
    const problems = streamNameProblems(input.DeliveryStreamName);
    if (problems.length > 0) throw validationError(problems);
    return input.DeliveryStreamName as string;
  }

  const operations = new Map<string, (input: Json) => Promise<Json>>([
    [
      'DescribeDeliveryStream',
      async (input) => {
        const name = named(input);
        return describe(find(name), arn(name));
      },
    ],
    [
      'CreateDeliveryStream',
      async (input) => {
        const settings = validateStream(readCreateDeliveryStream(input));
        if (streams.has(settings.name)) {
          throw new AwsError(
            'ResourceInUseException',
            `Firehose ${settings.name} under accountId ${account} already exists`,
          );
        }
        add(settings);
        return { DeliveryStreamARN: arn(settings.name) };
      },
    ],
    [
      'DeleteDeliveryStream',
      async (input) => {
        const name = named(input);
        const stream = streams.get(name);
        if (!stream) throw streamNotFound(name, account);
        streams.delete(name);
        const flushing = stream.flush().catch((error) => log(`${name}: ${(error as Error).message}`));
        deleting.add(flushing);
        await flushing.finally(() => deleting.delete(flushing));
        return {};
      },
    ],
    ['ListDeliveryStreams', async (input) => list([...streams.keys()].sort(), input)],
  ]);

  return {
    puts: createPutHandler({ find, ledger, onCall, log }),
    operations,
    async flush() {
      const outcomes = await Promise.allSettled([
        ...[...streams.values()].map((stream) => stream.flush()),
        ...deleting,
      ]);
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}

function list(names: string[], { Limit: limit, ExclusiveStartDeliveryStreamName: after }: Json): Json {
  const rest = typeof after === 'string' ? names.filter((name) => name > after) : names;
  const most = typeof limit === 'number' ? limit : 10;
  return { DeliveryStreamNames: rest.slice(0, most), HasMoreDeliveryStreams: rest.length > most };
}
