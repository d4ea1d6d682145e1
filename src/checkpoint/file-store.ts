import { lockState, touchLock } from '../runtime/file-lock.ts';
import { CheckpointFile } from './checkpoint-file.ts';
import {
  type CheckpointStore,
  LEASE_TTL_MS,
  type Lease,
  type LeaseHolder,
  type StoredState,
} from './checkpoint-store.ts';
import { CHECKPOINT_INTERVAL_MS } from './checkpointer.ts';
import { EpochFile } from './epoch-file.ts';

/**
 * A checkpoint in a file, for processes of one host. The lock file beside it is the lease. A process that is stopped
 * keeps it, because the system knows that it lives; so that none of its writes can come late. Of a process elsewhere,
 * such as in another container with the same folder, only its touches of the lock tell.
 */
export class FileStore implements CheckpointStore {
  readonly location: string;
  readonly saveIntervalMs = { busy: CHECKPOINT_INTERVAL_MS, idle: CHECKPOINT_INTERVAL_MS };
  readonly #name: string;
  readonly #file: CheckpointFile;
  readonly #epoch: EpochFile;
  /** The lock of a process elsewhere, and since when it is as it is. */
  #watched: { version: string; since: number } | undefined;

  constructor(name: string, path: string) {
    this.location = path;
    this.#name = name;
    this.#file = new CheckpointFile(path);
    this.#epoch = new EpochFile(path);
  }

  async read(): Promise<StoredState> {
    const saved = await this.#file.read(this.#name);
    const usedEpoch = await this.#epoch.load();
    return { checkpoint: saved?.checkpoint, savedAt: saved?.savedAt, usedEpoch };
  }

  async holder(): Promise<LeaseHolder | undefined> {
    const lock = await lockState(await this.#file.lockPath());
    if (lock === undefined || lock.owner === 'gone') return undefined;
    const isElsewhere = lock.owner === 'elsewhere';
    return { host: isElsewhere ? 'another host or container' : null, pid: lock.pid, isCertain: !isElsewhere };
  }

  async acquire(): Promise<{ lease: Lease } | { heldBy: LeaseHolder }> {
    const heldBy = await this.holder();
    if (heldBy !== undefined && (heldBy.isCertain || (await this.#isTouched()))) return { heldBy };
    try {
      return { lease: this.#lease(await this.#file.lock()) };
    } catch (error) {
      // Another process was faster.
      const winner = await this.holder();
      if (winner === undefined) throw error;
      return { heldBy: winner };
    } finally {
      this.#watched = undefined;
    }
  }

  async close(): Promise<void> {}

  /** Whether the lock has changed within the time that a lease lasts. */
  async #isTouched(): Promise<boolean> {
    const version = (await lockState(await this.#file.lockPath()))?.version ?? '';
    if (this.#watched?.version !== version) this.#watched = { version, since: performance.now() };
    return performance.now() - this.#watched.since < LEASE_TTL_MS;
  }

  #lease(release: () => Promise<void>): Lease {
    const isOurs = async (): Promise<boolean> => (await lockState(await this.#file.lockPath()))?.owner === 'ours';
    const ifOurs = async (write: () => Promise<void>): Promise<boolean> => {
      if (!(await isOurs())) return false;
      await write();
      return true;
    };
    return {
      generation: null,
      renew: () => ifOurs(async () => touchLock(await this.#file.lockPath())),
      save: (checkpoint) => ifOurs(() => this.#file.save(checkpoint)),
      saveEpoch: (epoch) => ifOurs(() => this.#epoch.save(epoch)),
      release,
    };
  }
}
