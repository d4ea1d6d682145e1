import { randomUUID } from 'node:crypto';
import { createObjectBuffer, type ObjectBuffer, type SpoolFolders } from './object-buffer.ts';
import { deaggregate, failedEvent, MAX_EVENTS_PER_RECORD, type PartitionQuery, partitionOf } from './partition.ts';
import { evaluatePrefix, formatTimestamp, type PrefixContext } from './prefix.ts';
import { fitsPrefix, type StreamSettings } from './stream-options.ts';

/** A delivery stream at work: its open buffers, when each is due, and what is on its way into the lake. */
export interface DeliveryStream {
  readonly settings: StreamSettings;
  readonly created: Date;
  /** Resolves when the records survive the death of this process. */
  put(records: readonly Buffer[]): Promise<void>;
  /** Delivers everything; rejects if something could not be, which then stays in the spool. */
  flush(): Promise<void>;
}

const MAX_ACTIVE_PARTITIONS = 500;
const VERSION = 1;
const RETRY_MS = 5_000;

interface OpenBuffer {
  buffer: ObjectBuffer;
  due: NodeJS.Timeout;
}

export function createDeliveryStream(
  settings: StreamSettings,
  folders: SpoolFolders,
  log: (line: string) => void,
): DeliveryStream {
  const open = new Map<string, OpenBuffer>();
  const delivering = new Map<ObjectBuffer, Promise<void>>();
  const retries = new Map<ObjectBuffer, NodeJS.Timeout>();
  let activePartitions = 0;

  /** The buffer of a partition or kind of error, opened if need be; undefined if its prefix is too long to be one. */
  function bufferOf(id: string, context: PrefixContext): ObjectBuffer | undefined {
    const found = open.get(id);
    if (found) return found.buffer;
    const failed = context.errorType !== undefined;
    const prefix = evaluatePrefix(failed ? settings.errorPrefix : settings.prefix, context);
    if (!fitsPrefix(prefix)) return undefined;
    const buffer = createObjectBuffer(folders, randomUUID(), {
      object: `${settings.name}/${asFolders(prefix)}${objectName(settings, context.at)}`,
      gzip: settings.gzip,
    });
    if (context.keys) activePartitions++;
    open.set(id, { buffer, due: setTimeout(() => seal(id), settings.bufferSeconds * 1000) });
    return buffer;
  }

  function seal(id: string): void {
    const { buffer, due } = open.get(id)!;
    clearTimeout(due);
    open.delete(id);
    if (id.startsWith('partition ')) activePartitions--;
    deliver(buffer).catch(() => {});
  }

  function deliver(buffer: ObjectBuffer): Promise<void> {
    clearTimeout(retries.get(buffer));
    retries.delete(buffer);
    const delivery = buffer.deliver().then(
      () => {
        delivering.delete(buffer);
        if (buffer.size() > 0) log(`delivered ${buffer.object} (${buffer.size()} bytes)`);
      },
      (error) => {
        log(`could not deliver ${buffer.object}: ${(error as Error).message}; trying again`);
        retries.set(
          buffer,
          setTimeout(() => deliver(buffer).catch(() => {}), RETRY_MS),
        );
        throw error;
      },
    );
    delivering.set(buffer, delivery);
    return delivery;
  }

  /** Stages one piece of data and seals what it fills. */
  function stage(id: string, context: PrefixContext, bytes: Buffer, touched: Set<ObjectBuffer>): boolean {
    const buffer = bufferOf(id, context);
    if (!buffer) return false;
    buffer.stage(bytes);
    touched.add(buffer);
    if (buffer.size() >= settings.bufferSize) seal(id);
    return true;
  }

  function stageFailure(event: Buffer, type: string, code: string, why: string, at: Date, touched: Set<ObjectBuffer>) {
    stage(`error ${type}`, { at, errorType: type }, failedEvent(event, code, why, at), touched);
  }

  function stagePartitioned(record: Buffer, query: PartitionQuery, at: Date, touched: Set<ObjectBuffer>): void {
    const fail = (event: Buffer, why: string) =>
      stageFailure(event, 'partitioning-failed', 'MetadataExtractionFailed', why, at, touched);
    const events = deaggregate(record);
    if (!events) {
      fail(record, `A record cannot hold more than ${MAX_EVENTS_PER_RECORD} events`);
      return;
    }
    for (const event of events) {
      const partition = partitionOf(event, query);
      if ('failure' in partition) {
        fail(event, partition.failure);
        continue;
      }
      const id = `partition ${JSON.stringify([...partition.keys.values()])}`;
      if (activePartitions >= MAX_ACTIVE_PARTITIONS && !open.has(id)) {
        const why = `The limit of ${MAX_ACTIVE_PARTITIONS} active partitions is exceeded`;
        stageFailure(event, 'activePartitionExceeded', 'ActivePartitionExceeded', why, at, touched);
      } else if (!stage(id, { at, keys: partition.keys }, event, touched)) {
        fail(event, 'Length of evaluated prefix cannot be greater than 512');
      }
    }
  }

  return {
    settings,
    created: new Date(),
    async put(records) {
      const at = new Date();
      const touched = new Set<ObjectBuffer>();
      for (const record of records) {
        if (settings.query) stagePartitioned(record, settings.query, at, touched);
        else stage('all', { at }, record, touched);
      }
      await Promise.all([...touched].map((buffer) => buffer.commit()));
    },
    async flush() {
      for (const buffer of [...retries.keys()]) deliver(buffer).catch(() => {});
      for (const id of [...open.keys()]) seal(id);
      const outcomes = await Promise.allSettled([...delivering.values()]);
      for (const retry of retries.values()) clearTimeout(retry);
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}

const objectName = ({ name, gzip }: StreamSettings, at: Date): string =>
  `${name}-${VERSION}-${formatTimestamp('yyyy-MM-dd-HH-mm-ss', at, 'Prefix')}-${randomUUID()}${gzip ? '.gz' : ''}`;

/** A key in S3 may hold any segment; as a path, these would leave the lake. */
const asFolders = (prefix: string): string =>
  prefix.replace(/\0/g, '%00').replace(/(^|\/)\.{1,2}(?=\/)/g, (segment) => segment.replaceAll('.', '%2E'));
