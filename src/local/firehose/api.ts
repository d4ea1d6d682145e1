import { AwsError, invalidArgument, streamNotFound, validationError } from './aws-error.ts';
import type { CallLog, CallLogEntry } from './call-log.ts';
import { readCreateDeliveryStream } from './create-request.ts';
import { DeliveryStream } from './delivery-stream.ts';
import { describeStream } from './describe-stream.ts';
import type { SpoolFolders } from './object-buffer.ts';
import { createPutHandler, type PutHandler } from './put-handler.ts';
import type { Json } from './put-request.ts';
import type { PendingCopy } from './redshift/pending-copies.ts';
import { addTags, ENCRYPTION_DISABLED, listTags, readEncryption, removeTags } from './stream-attributes.ts';
import { type StreamOptions, type StreamSettings, streamNameProblems, validateStream } from './stream-options.ts';

/** Firehose's operations on the streams of one server. server.ts handles the wire protocol. */
export interface Api {
  puts: PutHandler;
  /** All operations except the puts, by name. */
  operations: ReadonlyMap<string, (input: Json) => Promise<Json>>;
  /** Stores records that do not come through the API. */
  store(stream: string, records: readonly Buffer[]): Promise<void>;
  /** Delivers every buffer of every stream. */
  flush(): Promise<void>;
}

export interface ApiOptions {
  streams: StreamSettings[];
  autoCreateStream: ((name: string) => StreamOptions | undefined) | undefined;
  folders: SpoolFolders;
  region: string;
  account: string;
  /** The server that takes the place of a Redshift on AWS. */
  warehouse: { host: string; port: number } | undefined;
  /** What earlier processes have left in the lake to be copied into a table. */
  pendingCopies: readonly PendingCopy[];
  callLog: CallLog | undefined;
  onCall: ((entry: CallLogEntry) => void) | undefined;
  log: (line: string) => void;
}

export function createApi(options: ApiOptions): Api {
  const { callLog, onCall, log } = options;
  const streams = new StreamRegistry(options);
  for (const settings of options.streams) streams.add(settings);
  streams.resumeCopies();
  /** An operation that changes a stream and has nothing to answer. */
  const acting =
    (act: (stream: DeliveryStream, input: Json) => void) =>
    async (input: Json): Promise<Json> => {
      act(streams.existing(input), input);
      return {};
    };
  return {
    puts: createPutHandler({ findStream: (name) => streams.find(name), callLog, onCall, log }),
    operations: new Map<string, (input: Json) => Promise<Json>>([
      ['DescribeDeliveryStream', async (input) => streams.describe(input)],
      ['CreateDeliveryStream', async (input) => streams.create(input)],
      ['DeleteDeliveryStream', async (input) => streams.delete(input)],
      ['ListDeliveryStreams', async (input) => streams.list(input)],
      ['ListTagsForDeliveryStream', async (input) => listTags(streams.existing(input).tags, input)],
      ['TagDeliveryStream', acting(({ tags }, input) => addTags(tags, input.Tags))],
      ['UntagDeliveryStream', acting(({ tags }, input) => removeTags(tags, input.TagKeys))],
      [
        'StartDeliveryStreamEncryption',
        acting((stream, input) => {
          stream.encryption = readEncryption(input.DeliveryStreamEncryptionConfigurationInput);
        }),
      ],
      [
        'StopDeliveryStreamEncryption',
        acting((stream) => {
          stream.encryption = ENCRYPTION_DISABLED;
        }),
      ],
      [
        'UpdateDestination',
        acting(() => {
          throw invalidArgument(
            'The local Firehose does not support UpdateDestination: delete the stream, and create it with the new destination',
          );
        }),
      ],
    ]),
    store: (name, records) => streams.find(name).put(records),
    flush: () => streams.flush(),
  };
}

class StreamRegistry {
  readonly #options: ApiOptions;
  readonly #streams = new Map<string, DeliveryStream>();
  /** Flushes of deleted streams that still run. */
  readonly #deleting = new Set<Promise<void>>();

  /** Copies that wait for a stream of that name. */
  #pendingCopies: readonly PendingCopy[];

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#pendingCopies = options.pendingCopies;
  }

  add(settings: StreamSettings): DeliveryStream {
    const stream = new DeliveryStream(settings, this.#options);
    this.#streams.set(settings.name, stream);
    if (settings.redshift) {
      const isOwn = (copy: PendingCopy): boolean => copy.stream === settings.name;
      stream.copyLater(this.#pendingCopies.filter(isOwn));
      this.#pendingCopies = this.#pendingCopies.filter((copy) => !isOwn(copy));
    }
    return stream;
  }

  /** Creates the streams that have something to copy and need no request for it. Reports the others. */
  resumeCopies(): void {
    const { autoCreateStream, log } = this.#options;
    for (const name of new Set(this.#pendingCopies.map(({ stream }) => stream))) {
      if (!this.#streams.has(name) && autoCreateStream?.(name)?.redshift) this.find(name);
      const waiting = this.#pendingCopies.filter(({ stream }) => stream === name).length;
      if (waiting > 0)
        log(`${name}: objects not copied yet: ${waiting}; create the stream again with its Redshift table`);
    }
  }

  /** @throws AwsError when the stream does not exist and is not created automatically */
  find(name: string): DeliveryStream {
    const found = this.#streams.get(name);
    if (found) return found;
    const { autoCreateStream, account, log } = this.#options;
    const options = autoCreateStream?.(name);
    if (!options) throw streamNotFound(name, account);
    const stream = this.add(validateStream({ ...options, name }));
    log(`created stream ${name}`);
    return stream;
  }

  describe(input: Json): Json {
    const name = streamNameOf(input);
    return describeStream(this.find(name), this.#arn(name));
  }

  create(input: Json): Json {
    const settings = validateStream(readCreateDeliveryStream(input));
    if (this.#streams.has(settings.name)) {
      throw new AwsError(
        'ResourceInUseException',
        `Firehose ${settings.name} under accountId ${this.#options.account} already exists`,
      );
    }
    const tags = new Map<string, string>();
    if (Array.isArray(input.Tags) && input.Tags.length > 0) addTags(tags, input.Tags);
    const asked = input.DeliveryStreamEncryptionConfigurationInput;
    const encryption = asked == null ? ENCRYPTION_DISABLED : readEncryption(asked);
    const stream = this.add(settings);
    for (const [key, value] of tags) stream.tags.set(key, value);
    stream.encryption = encryption;
    return { DeliveryStreamARN: this.#arn(settings.name) };
  }

  /** The stream of the input. Only puts and DescribeDeliveryStream create one. @throws AwsError if it does not exist */
  existing(input: Json): DeliveryStream {
    const name = streamNameOf(input);
    const stream = this.#streams.get(name);
    if (!stream) throw streamNotFound(name, this.#options.account);
    return stream;
  }

  async delete(input: Json): Promise<Json> {
    const stream = this.existing(input);
    const { name } = stream.settings;
    this.#streams.delete(name);
    const flushing = stream.flush().then(
      (copies) => {
        this.#pendingCopies = [...this.#pendingCopies, ...copies];
      },
      (error) => this.#options.log(`${name}: ${(error as Error).message}`),
    );
    this.#deleting.add(flushing);
    await flushing.finally(() => this.#deleting.delete(flushing));
    return {};
  }

  list({ Limit: limit, ExclusiveStartDeliveryStreamName: after }: Json): Json {
    const names = [...this.#streams.keys()].sort();
    const rest = typeof after === 'string' ? names.filter((name) => name > after) : names;
    const limitOrDefault = typeof limit === 'number' ? limit : 10;
    return {
      DeliveryStreamNames: rest.slice(0, limitOrDefault),
      HasMoreDeliveryStreams: rest.length > limitOrDefault,
    };
  }

  async flush(): Promise<void> {
    const outcomes = await Promise.allSettled([
      ...[...this.#streams.values()].map((stream) => stream.flush()),
      ...this.#deleting,
    ]);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
  }

  #arn(name: string): string {
    return `arn:aws:firehose:${this.#options.region}:${this.#options.account}:deliverystream/${name}`;
  }
}

function streamNameOf(input: Json): string {
  const problems = streamNameProblems(input.DeliveryStreamName);
  if (problems.length > 0) throw validationError(problems);
  return input.DeliveryStreamName as string;
}
