import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb';
import { type AwsFailure, failureText } from '../aws/aws-failure.ts';
import { type AwsConnection, awsClientOptions } from '../aws/client-options.ts';
import { CREDENTIALS_ERRORS } from '../aws/credentials.ts';
import { CdcError } from '../runtime/error.ts';
import type { Checkpoint } from './checkpoint.ts';
import { formatCheckpoint, parseCheckpoint } from './checkpoint-format.ts';
import {
  type CheckpointStore,
  LEASE_TTL_MS,
  type Lease,
  type LeaseHolder,
  NOTHING_STORED,
  type StoredState,
} from './checkpoint-store.ts';

/** A save is a write unit for each KiB. */
const SAVE_INTERVAL_MS = { busy: 1_000, idle: 10_000 };
const REQUEST_TIMEOUT_MS = 2_500;
const TABLE_TIMEOUT_MS = 60_000;
const TABLE_POLL_MS = 500;
/** An item has at most 400 KiB, attribute names included (DynamoDB quotas). */
const ITEM_BYTES_MAX = 390 * 1024;
/** A larger checkpoint is compressed; a larger GTID set is only in it. */
const TEXT_BYTES_MAX = 128 * 1024;
/** Behind the name of a pipeline, which has no such character: the item of its lease. */
const LEASE_SUFFIX = '#lease';

/** Errors that another attempt does not change (DynamoDB API reference: Common Errors). */
const NEEDS_OPERATOR: ReadonlySet<unknown> = new Set([
  ...['AccessDeniedException', 'UnrecognizedClientException', 'InvalidSignatureException', 'ValidationException'],
  ...[CREDENTIALS_ERRORS.denied, CREDENTIALS_ERRORS.source],
]);

/**
 * An item of a DynamoDB table. The lease is an item of its own, so that a renewal writes little. Its holder counts up
 * `beat`; who sees the same count for `LEASE_TTL_MS` by its own clock may take it. The generation is in both items: it
 * is written to that of the checkpoint before that is read, and from then on no earlier holder can save.
 */
export class DynamodbStore implements CheckpointStore {
  readonly location: string;
  readonly saveIntervalMs = SAVE_INTERVAL_MS;
  readonly #name: string;
  readonly #table: string;
  readonly #client: DynamoDBClient;
  /** The lease of another process, and since when it is as it is. */
  #watched: { state: string; since: number } | undefined;

  constructor(name: string, table: string, connection: AwsConnection) {
    this.location = `dynamodb:${table}`;
    this.#name = name;
    this.#table = table;
    this.#client = new DynamoDBClient(awsClientOptions(connection));
  }

  async read(): Promise<StoredState> {
    const item = await this.#getIfThere(this.#name);
    return item === undefined ? NOTHING_STORED : this.#stateOf(item);
  }

  async holder(): Promise<LeaseHolder | undefined> {
    const lease = await this.#getIfThere(this.#name + LEASE_SUFFIX);
    return lease?.owner?.S ? holderOf(lease) : undefined;
  }

  async acquire(signal?: AbortSignal): Promise<{ lease: Lease } | { heldBy: LeaseHolder }> {
    const seen = await this.#get(this.#name + LEASE_SUFFIX).catch(async (error) => {
      // A table that is missing is made here, and not by those who only read.
      if (!isMissingTable(error)) throw error;
      await this.#createTable(signal);
      return undefined;
    });
    if (seen?.owner?.S && this.#isRenewed(seen)) return { heldBy: holderOf(seen) };
    const generation = Math.max(numberOf(seen?.generation), await this.#fencedGeneration()) + 1;
    const owner = randomUUID();
    const isTaken = await this.#update(this.#name + LEASE_SUFFIX, {
      UpdateExpression: 'SET generation = :next, #owner = :owner, beat = :zero, #host = :host, pid = :pid',
      ConditionExpression: seen === undefined ? 'attribute_not_exists(#owner)' : 'generation = :seen AND beat = :beat',
      ExpressionAttributeNames: { '#owner': 'owner', '#host': 'host' },
      ExpressionAttributeValues: {
        ...(seen !== undefined && { ':seen': number(numberOf(seen.generation)), ':beat': number(numberOf(seen.beat)) }),
        ...{ ':next': number(generation), ':owner': { S: owner }, ':zero': number(0) },
        ...{ ':host': { S: hostname() }, ':pid': number(process.pid) },
      },
    });
    const isFenced = isTaken && (await this.#fence(generation, owner));
    if (isFenced) return { lease: this.#lease(generation, owner) };
    const winner = await this.#get(this.#name + LEASE_SUFFIX);
    return { heldBy: winner === undefined ? UNKNOWN_HOLDER : holderOf(winner) };
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  /** Whether the lease was renewed within the time that it lasts. */
  #isRenewed(lease: Item): boolean {
    const state = `${lease.owner?.S} ${lease.beat?.N}`;
    if (this.#watched?.state !== state) this.#watched = { state, since: performance.now() };
    return performance.now() - this.#watched.since < LEASE_TTL_MS;
  }

  async #fencedGeneration(): Promise<number> {
    return numberOf((await this.#getIfThere(this.#name))?.generation);
  }

  /** From here on no earlier holder can save, also where both items were removed in between. */
  #fence(generation: number, owner: string): Promise<boolean> {
    return this.#update(this.#name, {
      UpdateExpression: 'SET generation = :generation, #owner = :owner, saves = :zero',
      ConditionExpression: 'attribute_not_exists(generation) OR generation < :generation',
      ExpressionAttributeNames: { '#owner': 'owner' },
      ExpressionAttributeValues: { ':generation': number(generation), ':owner': { S: owner }, ':zero': number(0) },
    });
  }

  #lease(generation: number, owner: string): Lease {
    let saves = 0;
    const isHeld = 'generation = :generation AND #owner = :owner';
    const held = { ':generation': number(generation), ':owner': { S: owner } };
    const renewal = (set: string, values: Item): Promise<boolean> =>
      this.#update(this.#name + LEASE_SUFFIX, {
        UpdateExpression: set,
        ConditionExpression: isHeld,
        ExpressionAttributeNames: { '#owner': 'owner' },
        ExpressionAttributeValues: { ...held, ...values },
      });
    return {
      generation,
      renew: () => renewal('SET beat = beat + :one', { ':one': number(1) }),
      save: (checkpoint) => {
        const { set, values } = savedAttributes(checkpoint);
        return this.#update(this.#name, {
          UpdateExpression: `${set}, saves = :saves`,
          // A request that the network delivers late must not undo a later save.
          ConditionExpression: `${isHeld} AND saves < :saves`,
          ExpressionAttributeNames: { '#file': 'file', '#position': 'position', '#owner': 'owner' },
          ExpressionAttributeValues: { ...held, ':saves': number(++saves), ...values },
        });
      },
      saveEpoch: (epoch) =>
        this.#update(this.#name, {
          UpdateExpression: 'SET used_epoch = :epoch',
          ConditionExpression: isHeld,
          ExpressionAttributeNames: { '#owner': 'owner' },
          ExpressionAttributeValues: { ...held, ':epoch': number(epoch) },
        }),
      release: async () => {
        await renewal('SET #owner = :none', { ':none': { S: '' } });
      },
    };
  }

  #stateOf(item: Item): StoredState {
    const usedEpoch = numberOf(item.used_epoch);
    const zipped = item.checkpoint_gzip?.B;
    const text = zipped === undefined ? item.checkpoint?.S : gunzipSync(zipped).toString();
    if (text === undefined) return { ...NOTHING_STORED, usedEpoch };
    const parsed = parseCheckpoint(text, this.#name, {
      what: `the checkpoint ${this.#name} in ${this.location}`,
      startOver: 'remove the attributes checkpoint and checkpoint_gzip, then cdc begins at source.start',
      separate: 'correct the key of that item',
    });
    return { ...parsed, usedEpoch };
  }

  async #get(key: string): Promise<Item | undefined> {
    const command = new GetItemCommand({ TableName: this.#table, Key: { name: { S: key } }, ConsistentRead: true });
    const { Item } = await this.#send((abortSignal) => this.#client.send(command, { abortSignal }));
    return Item;
  }

  async #getIfThere(key: string): Promise<Item | undefined> {
    return this.#get(key).catch((error) => {
      if (isMissingTable(error)) return undefined;
      throw error;
    });
  }

  /** @returns false if the condition did not hold */
  async #update(key: string, input: Omit<UpdateItemCommandInput, 'TableName' | 'Key'>): Promise<boolean> {
    try {
      await this.#send((abortSignal) =>
        this.#client.send(new UpdateItemCommand({ TableName: this.#table, Key: { name: { S: key } }, ...input }), {
          abortSignal,
        }),
      );
      return true;
    } catch (error) {
      if ((error as CdcError).cause instanceof ConditionalCheckFailedException) return false;
      throw error;
    }
  }

  async #createTable(signal?: AbortSignal): Promise<void> {
    const deadline = performance.now() + TABLE_TIMEOUT_MS;
    const create = new CreateTableCommand(tableOf(this.#table));
    await this.#send((abortSignal) => this.#client.send(create, { abortSignal })).catch((error) => {
      // Another process makes it at this moment.
      if (!(error.cause instanceof ResourceInUseException)) throw error;
    });
    const describe = new DescribeTableCommand({ TableName: this.#table });
    for (;;) {
      const { Table } = await this.#send((abortSignal) => this.#client.send(describe, { abortSignal }));
      if (Table?.TableStatus === 'ACTIVE') return;
      if (performance.now() > deadline) throw this.#error({ message: 'the table does not become active' });
      await sleep(TABLE_POLL_MS, undefined, { signal });
    }
  }

  async #send<T>(call: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await call(AbortSignal.timeout(REQUEST_TIMEOUT_MS));
    } catch (error) {
      if (error instanceof CdcError) throw error;
      throw this.#error(error as AwsFailure);
    }
  }

  #error(failure: AwsFailure): CdcError {
    const needsOperator = NEEDS_OPERATOR.has(failure.name);
    return new CdcError(`cannot use the checkpoint store ${this.location}`, {
      ...(needsOperator ? { exitCode: 3 } : { kind: 'retry' }),
      why: failure.name === 'AbortError' ? `no answer within ${REQUEST_TIMEOUT_MS} ms` : failureText(failure),
      hint: needsOperator
        ? (failure.hint ??
          'check checkpoint.dynamodb, that the key of the table is the string name, and that the credentials allow dynamodb:GetItem and UpdateItem, and DescribeTable and CreateTable where the table is missing')
        : 'cdc tries again by itself; check the table, its capacity and the network to it',
      cause: failure,
    });
  }
}

const isMissingTable = (error: unknown): boolean => (error as CdcError).cause instanceof ResourceNotFoundException;

type Item = Record<string, AttributeValue>;

const number = (value: number): AttributeValue => ({ N: String(value) });
const numberOf = (value: AttributeValue | undefined): number => Number(value?.N ?? 0);

const UNKNOWN_HOLDER: LeaseHolder = { host: 'another host', pid: 0, isCertain: false };

const holderOf = ({ host, pid }: Item): LeaseHolder => ({
  host: host?.S ?? 'another host',
  pid: numberOf(pid),
  isCertain: false,
});

/** The whole text, compressed where that is needed, and beside it what a person looks for. */
function savedAttributes(checkpoint: Checkpoint): { set: string; values: Item } {
  const savedAt = new Date();
  const { file, position, gtids } = checkpoint;
  const text = formatCheckpoint(checkpoint, savedAt);
  const isShort = Buffer.byteLength(text) <= TEXT_BYTES_MAX;
  const zipped = isShort ? undefined : gzipSync(text);
  if (zipped !== undefined && zipped.length > ITEM_BYTES_MAX) {
    throw new CdcError('the checkpoint is too large for an item of DynamoDB', {
      why: `it has ${zipped.length} bytes compressed, and an item up to ${ITEM_BYTES_MAX}`,
      hint: 'use checkpoint.mysql or checkpoint.file, or several daemons with fewer tables each',
    });
  }
  const showsGtids = gtids !== null && isShort;
  const values: Item = {
    ...{ ':saved_at': { S: savedAt.toISOString() }, ':file': { S: file }, ':position': number(position) },
    ...(showsGtids && { ':gtids': { S: gtids } }),
    ...(zipped === undefined ? { ':checkpoint': { S: text } } : { ':checkpoint': { B: zipped } }),
  };
  const [kept, removed] = isShort ? ['checkpoint', 'checkpoint_gzip'] : ['checkpoint_gzip', 'checkpoint'];
  const set =
    `REMOVE ${removed}${showsGtids ? '' : ', gtids'} ` +
    `SET saved_at = :saved_at, #file = :file, #position = :position, ${kept} = :checkpoint` +
    (showsGtids ? ', gtids = :gtids' : '');
  return { set, values };
}

const tableOf = (table: string) => ({
  TableName: table,
  BillingMode: 'PAY_PER_REQUEST' as const,
  AttributeDefinitions: [{ AttributeName: 'name', AttributeType: 'S' as const }],
  KeySchema: [{ AttributeName: 'name', KeyType: 'HASH' as const }],
});
