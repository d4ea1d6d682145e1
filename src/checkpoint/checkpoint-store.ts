import type { Checkpoint } from './checkpoint.ts';

/** What a store holds of one pipeline. */
export interface StoredState {
  checkpoint: Checkpoint | undefined;
  /** When it was saved, in milliseconds since 1970. */
  savedAt: number | undefined;
  /** The highest epoch of `seq` that was used, 0 if none was. It stays where the checkpoint is removed. */
  usedEpoch: number;
}

export const NOTHING_STORED: StoredState = { checkpoint: undefined, savedAt: undefined, usedEpoch: 0 };

/** A process that leads a pipeline. */
export interface LeaseHolder {
  /** Null where it is this host. */
  host: string | null;
  pid: number;
  /** Whether the store knows that it runs. If not, it ran within the last `LEASE_TTL_MS`. */
  isCertain: boolean;
}

/**
 * Where the checkpoint of one pipeline is, and who may write it. `test/contract/checkpoint-store.contract.ts` is this
 * contract as tests; every store passes it.
 *
 * - Of all processes one holds the lease. If it dies, another can have the lease within `LEASE_TTL_MS` and a second.
 * - Only the holder writes: once another process has had the lease, nothing is written, however long the holder was
 *   stopped in between.
 * - No clock of a host decides, so that none has to be right.
 */
export interface CheckpointStore {
  /** How messages name it, without secrets: a path, `mysql://host:3306/cdc.cdc_checkpoint`, `dynamodb:table`. */
  readonly location: string;
  /** The minimum time between two saves, in milliseconds, and between those that only skip what is not captured. */
  readonly saveIntervalMs: { busy: number; idle: number };
  /** Reads without the lease. @throws CdcError if the checkpoint is damaged or of another pipeline */
  read(): Promise<StoredState>;
  /** Who holds the lease; undefined if none does. */
  holder(): Promise<LeaseHolder | undefined>;
  /** One attempt, which does not wait for the holder. @throws CdcError if the store cannot be used */
  acquire(signal?: AbortSignal): Promise<{ lease: Lease } | { heldBy: LeaseHolder }>;
  close(): Promise<void>;
}

/**
 * The right to write, while it lasts. Every promise resolves with whether this process still had it: with false nothing
 * was written. It rejects if the store could not say.
 */
export interface Lease {
  /** Grows with each acquisition, and fences the earlier holders; null where the store needs none. */
  readonly generation: number | null;
  /** Aborts when the lease is over before a renewal asks; undefined where only a renewal shows it. */
  readonly ended?: AbortSignal;
  /** Keeps the lease for `LEASE_TTL_MS` from the moment of the call. */
  renew(): Promise<boolean>;
  /** The checkpoint is durable when it resolves. */
  save(checkpoint: Checkpoint): Promise<boolean>;
  /** Saves the highest epoch, before anything is sent with it. */
  saveEpoch(epoch: number): Promise<boolean>;
  /** Another process can have the lease at once. */
  release(): Promise<void>;
}

/** How long a lease that is not renewed keeps other processes away. */
export const LEASE_TTL_MS = 5_000;
