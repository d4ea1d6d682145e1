import { randomUUID } from 'node:crypto';
import { createObjectBuffer, type ObjectBuffer, type SpoolFolders } from './object-buffer.ts';
import { deaggregate, failedEvent, MAX_EVENTS_PER_RECORD, type PartitionQuery, partitionOf } from './partition.ts';
import { compilePrefix, evaluatePrefix, formatTimestamp, type PrefixContext } from './prefix.ts';
import { CopyQueue } from './redshift/copy-queue.ts';
import { isRedshiftHost } from './redshift/destination.ts';
import type { PendingCopy } from './redshift/pending-copies.ts';
import { type RowFormat, rowsOf } from './row-format.ts';
import { ENCRYPTION_DISABLED } from './stream-attributes.ts';
import { fitsPrefix, type StreamSettings } from './stream-options.ts';

const MAX_ACTIVE_PARTITIONS = 500;
const STREAM_VERSION = 1;
const DELIVERY_RETRY_MS = 5_000;

/** What streams of one server share. */
export interface StreamSurroundings {
  folders: SpoolFolders;
  log: (line: string) => void;
  /** The server that takes the place of a Redshift on AWS. */
  warehouse?: { host: string; port: number } | undefined;
}

interface OpenBuffer {
  buffer: ObjectBuffer;
  sealTimer: NodeJS.Timeout;
}

/**
 * A running delivery stream: its open buffers with their timers, and the objects that are being delivered to the lake.
 */
export class DeliveryStream {
  readonly settings: StreamSettings;
  readonly created = new Date();
  readonly tags = new Map<string, string>();
  /** As DescribeDeliveryStream shows it. */
  encryption = ENCRYPTION_DISABLED;
  readonly #folders: SpoolFolders;
  readonly #log: (line: string) => void;
  readonly #open = new Map<string, OpenBuffer>();
  readonly #delivering = new Map<ObjectBuffer, Promise<void>>();
  readonly #retryTimers = new Map<ObjectBuffer, NodeJS.Timeout>();
  readonly #copies: CopyQueue | undefined;
  /** The backup of the records, with buffers of its own. */
  readonly #backup: DeliveryStream | undefined;
  #activePartitions = 0;

  constructor(settings: StreamSettings, { folders, log, warehouse }: StreamSurroundings) {
    this.settings = settings;
    this.#folders = folders;
    this.#log = log;
    this.#copies = createCopyQueue(settings, { folders, log, warehouse });
    this.#backup = settings.backup && new DeliveryStream(settings.backup, { folders, log });
  }

  /** Copies objects that an earlier process has left in the lake. */
  copyLater(copies: readonly PendingCopy[]): void {
    if (copies.length > 0) this.#copies?.add(...copies);
  }

  /** Resolves when the records survive the death of this process. */
  async put(records: readonly Buffer[]): Promise<void> {
    const arrival = new Date();
    const touched = new Set<ObjectBuffer>();
    for (const record of records) {
      if (this.settings.query) this.#stagePartitioned(record, this.settings.query, arrival, touched);
      else if (this.settings.options.rows) this.#stageRows(record, this.settings.options.rows, arrival, touched);
      else this.#stage('all', { arrival }, record, touched);
    }
    await Promise.all([...[...touched].map((buffer) => buffer.commit()), this.#backup?.put(records)]);
  }

  /**
   * Delivers every buffer, then copies what is in the lake. Returns what is not copied: the spool has noted it. Rejects
   * if a delivery failed; its data stays in the spool.
   */
  async flush(): Promise<readonly PendingCopy[]> {
    const backedUp = this.#backup?.flush();
    backedUp?.catch(() => {}); // awaited below
    const delivered = this.#deliverAll();
    await delivered.catch(() => {});
    const left = (await this.#copies?.close()) ?? [];
    await delivered;
    await backedUp;
    return left;
  }

  async #deliverAll(): Promise<void> {
    for (const buffer of [...this.#retryTimers.keys()]) this.#deliver(buffer).catch(() => {});
    for (const id of [...this.#open.keys()]) this.#seal(id);
    const outcomes = await Promise.allSettled([...this.#delivering.values()]);
    for (const timer of this.#retryTimers.values()) clearTimeout(timer);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** The buffer of a partition or a kind of error, opened if necessary. Undefined if its prefix is too long. */
  #bufferOf(id: string, context: PrefixContext): ObjectBuffer | undefined {
    const found = this.#open.get(id);
    if (found) return found.buffer;
    const { name, prefix, errorPrefix, gzip, bufferSeconds } = this.settings;
    const evaluated = evaluatePrefix(context.errorType === undefined ? prefix : errorPrefix, context);
    if (!fitsPrefix(evaluated)) return undefined;
    const buffer = createObjectBuffer(this.#folders, randomUUID(), {
      object: `${name}/${asFolders(evaluated)}${objectName(this.settings, context.arrival)}`,
      gzip,
      copiedBy: this.#copies && name,
    });
    if (id.startsWith('partition ')) this.#activePartitions++;
    this.#open.set(id, { buffer, sealTimer: setTimeout(() => this.#seal(id), bufferSeconds * 1000) });
    return buffer;
  }

  #seal(id: string): void {
    const { buffer, sealTimer } = this.#open.get(id)!;
    clearTimeout(sealTimer);
    this.#open.delete(id);
    if (id.startsWith('partition ')) this.#activePartitions--;
    this.#deliver(buffer).catch(() => {});
  }

  #deliver(buffer: ObjectBuffer): Promise<void> {
    clearTimeout(this.#retryTimers.get(buffer));
    this.#retryTimers.delete(buffer);
    const delivery = buffer.deliver().then(
      () => {
        this.#delivering.delete(buffer);
        if (buffer.size() === 0) return;
        this.#log(`delivered ${buffer.object} (${buffer.size()} bytes)`);
        this.#copies?.add({ id: buffer.id, stream: this.settings.name, object: buffer.object });
      },
      (error) => {
        this.#log(`could not deliver ${buffer.object}: ${(error as Error).message}; trying again`);
        const retry = () => this.#deliver(buffer).catch(() => {});
        this.#retryTimers.set(buffer, setTimeout(retry, DELIVERY_RETRY_MS));
        throw error;
      },
    );
    this.#delivering.set(buffer, delivery);
    return delivery;
  }

  /** Stages one piece of data, and seals the buffer if it is full. Returns false if the prefix is too long. */
  #stage(id: string, context: PrefixContext, bytes: Buffer, touched: Set<ObjectBuffer>): boolean {
    const buffer = this.#bufferOf(id, context);
    if (!buffer) return false;
    buffer.stage(bytes);
    touched.add(buffer);
    if (buffer.size() >= this.settings.bufferSize) this.#seal(id);
    return true;
  }

  #stageFailure(
    event: Buffer,
    errorType: string,
    code: string,
    why: string,
    arrival: Date,
    touched: Set<ObjectBuffer>,
  ): void {
    this.#stage(`error ${errorType}`, { arrival, errorType }, failedEvent(event, code, why, arrival), touched);
  }

  /** Rows of a table lie together. Their number is not limited, because they are no partitions. */
  #stageRows(record: Buffer, format: RowFormat, arrival: Date, touched: Set<ObjectBuffer>): void {
    for (const row of rowsOf(record, format)) {
      if ('failure' in row) {
        this.#stageFailure(row.document, format.errorType, row.failure.code, row.failure.message, arrival, touched);
        continue;
      }
      const { keys } = row;
      const id = `table ${JSON.stringify([...(keys?.values() ?? [])])}`;
      if (this.#stage(id, keys ? { arrival, keys } : { arrival }, row.line, touched)) continue;
      const why = 'The names of database and table are too long for a folder';
      this.#stageFailure(record, format.errorType, format.errorCode, why, arrival, touched);
    }
  }

  #stagePartitioned(record: Buffer, query: PartitionQuery, arrival: Date, touched: Set<ObjectBuffer>): void {
    const stageFailure = (event: Buffer, errorType: string, code: string, why: string) =>
      this.#stageFailure(event, errorType, `DynamicPartitioning.${code}`, why, arrival, touched);
    const partitioningFailed = (event: Buffer, why: string) =>
      stageFailure(event, 'partitioning-failed', 'MetadataExtractionFailed', why);
    const events = deaggregate(record);
    if (!events) {
      partitioningFailed(record, `A record cannot hold more than ${MAX_EVENTS_PER_RECORD} events`);
      return;
    }
    for (const event of events) {
      const partition = partitionOf(event, query);
      if ('failure' in partition) {
        partitioningFailed(event, partition.failure);
        continue;
      }
      const id = `partition ${JSON.stringify([...partition.keys.values()])}`;
      if (this.#activePartitions >= MAX_ACTIVE_PARTITIONS && !this.#open.has(id)) {
        const why = `The limit of ${MAX_ACTIVE_PARTITIONS} active partitions is exceeded`;
        stageFailure(event, 'activePartitionExceeded', 'ActivePartitionExceeded', why);
      } else if (!this.#stage(id, { arrival, keys: partition.keys }, event, touched)) {
        partitioningFailed(event, 'Length of evaluated prefix cannot be greater than 512');
      }
    }
  }
}

function createCopyQueue(settings: StreamSettings, surroundings: StreamSurroundings): CopyQueue | undefined {
  const { redshift, options } = settings;
  if (!redshift) return undefined;
  const { folders, log, warehouse } = surroundings;
  const { target, retrySeconds } = redshift;
  // A cluster on AWS is out of reach of what runs on this machine, and the warehouse is there to stand for it.
  const standIn = warehouse && isRedshiftHost(target.host) ? warehouse : {};
  return new CopyQueue({
    stream: settings.name,
    target: { ...target, ...standIn },
    retrySeconds,
    folders,
    manifestName: () => manifestName(settings, new Date()),
    bucket: String(options.destination?.BucketARN ?? 'local-lake').replace(/^.*:/, ''),
    log,
  });
}

/** Below the prefix of the objects, or below that of errors. */
function manifestName(settings: StreamSettings, now: Date): string {
  const { name, errorPrefix, options } = settings;
  const context = { arrival: now, errorType: 'errors' };
  const folder = options.errorOutputPrefix
    ? evaluatePrefix(errorPrefix, context)
    : `${evaluatePrefix(compilePrefix(options.prefix ?? '', 'Prefix'), context)}errors/`;
  const time = formatTimestamp('yyyy/MM/dd/HH/', now, 'Prefix');
  return `${name}/${asFolders(folder)}manifests/${time}${objectName({ ...settings, gzip: false }, now)}`;
}

const objectName = ({ name, gzip }: StreamSettings, arrival: Date): string => {
  const time = formatTimestamp('yyyy-MM-dd-HH-mm-ss', arrival, 'Prefix');
  return `${name}-${STREAM_VERSION}-${time}-${randomUUID()}${gzip ? '.gz' : ''}`;
};

/** An S3 key can contain any segment. As parts of a path, the escaped segments would leave the lake. */
const asFolders = (prefix: string): string =>
  prefix.replace(/\0/g, '%00').replace(/(^|\/)\.{1,2}(?=\/)/g, (segment) => segment.replaceAll('.', '%2E'));
