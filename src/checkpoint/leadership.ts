import { holderText } from '../model/lease-status.ts';
import { onAbort, sleepUnlessAborted } from '../runtime/abort.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import type { Checkpoint } from './checkpoint.ts';
import {
  type CheckpointStore,
  LEASE_TTL_MS,
  type Lease,
  type LeaseHolder,
  type StoredState,
} from './checkpoint-store.ts';

/** How often the lease is renewed. */
const RENEW_INTERVAL_MS = 1_000;
/** How long a renewal counts here: less than for others, so that nothing is sent when another begins. */
const LEASE_VALID_MS = LEASE_TTL_MS - 1_000;
/** How often a process that stands by asks for the lease, and reads the checkpoint. */
const POLL_INTERVAL_MS = 500;
const REMEMBER_INTERVAL_MS = 5_000;
/** How long a command waits for a process that could have died. */
const CLAIM_TIMEOUT_MS = LEASE_TTL_MS + 2_000;

/** What becomes known on the way, for the log and the status. */
export interface LeaseListener {
  /** Another process leads; called again when it is another one. */
  onHeld(holder: LeaseHolder): void;
  /** This process leads. */
  onAcquired(leadership: Leadership): void;
  /** The lease was lost while it was held. */
  onLost(): void;
  /** A call to the store failed; undefined once one has succeeded again. */
  onStoreError(error: CdcError | undefined): void;
  /** The store lost a checkpoint that this process had saved or seen, which is used again. */
  onRestored(): void;
}

export interface ClaimOptions {
  /** Whether to wait until the holder ends. */
  standBy: boolean;
  signal: AbortSignal;
  listener: LeaseListener;
  /** What this process has saved or seen last, over all the times that it has led or stood by. */
  lastSaved: LastSaved;
}

/**
 * Kept outside of the store: a start at `source.start`, because somebody has removed a row or a folder, would lose what
 * was committed meanwhile.
 */
export interface LastSaved {
  checkpoint?: Checkpoint;
  epoch: number;
}

/**
 * The right of this process to run the pipeline. It is renewed until it is released or lost.
 *
 * Who sends asks `holds`. It is false as soon as the last renewal is older than `LEASE_VALID_MS`: by the monotonic
 * clock, which counts on while a process is stopped, and by the clock of the host, which counts on while the host
 * sleeps. Only the store decides that the lease is lost.
 */
export class Leadership {
  readonly #store: CheckpointStore;
  readonly #lease: Lease;
  readonly #listener: LeaseListener;
  readonly #lastSaved: LastSaved;
  readonly #lost = new AbortController();
  #validUntil = { monotonic: 0, wall: 0 };
  #timer: NodeJS.Timeout | undefined;
  #isReleased = false;

  /** @param askedAt when the lease was asked for */
  constructor(store: CheckpointStore, lease: Lease, askedAt: Moment, { listener, lastSaved }: ClaimOptions) {
    this.#store = store;
    this.#lease = lease;
    this.#listener = listener;
    this.#lastSaved = lastSaved;
    this.#confirm(askedAt);
    this.#renewLater();
    if (lease.ended) onAbort(lease.ended, () => this.#isReleased || this.#lose());
  }

  get generation(): number | null {
    return this.#lease.generation;
  }

  get saveIntervalMs(): CheckpointStore['saveIntervalMs'] {
    return this.#store.saveIntervalMs;
  }

  /** Aborts, with a CdcError of kind `retry`, when another process can lead. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether this process may send and write now. */
  holds(): boolean {
    const { monotonic, wall } = this.#validUntil;
    return !this.#isReleased && !this.lost.aborted && performance.now() < monotonic && Date.now() < wall;
  }

  /** What the store holds. No earlier holder can change it any more. */
  async read(): Promise<StoredState> {
    const state = await this.#counted(() => this.#store.read());
    const { checkpoint, epoch } = this.#lastSaved;
    const usedEpoch = Math.max(state.usedEpoch, epoch);
    if (state.checkpoint !== undefined || checkpoint === undefined) return { ...state, usedEpoch };
    this.#listener.onRestored();
    return { checkpoint, savedAt: undefined, usedEpoch };
  }

  /** @throws CdcError if the lease is lost, and nothing was written */
  async save(checkpoint: Checkpoint): Promise<void> {
    await this.#write(() => this.#lease.save(checkpoint));
    this.#lastSaved.checkpoint = checkpoint;
  }

  /** @throws CdcError if the lease is lost, and nothing was written */
  async saveEpoch(epoch: number): Promise<void> {
    await this.#write(() => this.#lease.saveEpoch(epoch));
    this.#lastSaved.epoch = epoch;
  }

  /** Another process can lead at once. */
  async release(): Promise<void> {
    this.#isReleased = true;
    clearTimeout(this.#timer);
    await this.#counted(() => this.#lease.release()).catch(() => {});
  }

  async #write(write: () => Promise<boolean>): Promise<void> {
    if (!(await this.#counted(write))) throw this.#lose();
  }

  #confirm({ monotonic, wall }: Moment): void {
    this.#validUntil = { monotonic: monotonic + LEASE_VALID_MS, wall: wall + LEASE_VALID_MS };
  }

  #renewLater(): void {
    if (this.#isReleased || this.lost.aborted) return;
    this.#timer = setTimeout(() => void this.#renew(), RENEW_INTERVAL_MS);
  }

  async #renew(): Promise<void> {
    const askedAt = now();
    try {
      if (await this.#counted(() => this.#lease.renew())) this.#confirm(askedAt);
      else if (!this.#isReleased) this.#lose();
    } catch {
      // It was reported, and is tried again.
    }
    this.#renewLater();
  }

  async #counted<T>(call: () => Promise<T>): Promise<T> {
    try {
      const result = await call();
      this.#listener.onStoreError(undefined);
      return result;
    } catch (error) {
      this.#listener.onStoreError(asCdcError(error));
      throw error;
    }
  }

  #lose(): CdcError {
    const error = new CdcError('this process does not lead any more', {
      kind: 'retry',
      why: `its lease in ${this.#store.location} was taken or removed, or ended because it was not renewed`,
      hint: 'nothing was lost, and it stands by; if it happens often, look at the store and at the load of this host',
    });
    if (!this.lost.aborted) {
      this.#listener.onLost();
      this.#lost.abort(error);
    }
    return error;
  }
}

interface Moment {
  monotonic: number;
  wall: number;
}

const now = (): Moment => ({ monotonic: performance.now(), wall: Date.now() });

/**
 * Waits for the lease.
 * @throws the reason of `signal`; CdcError with exit code 2 if another process leads and `standBy` is false; an error
 * of the store that needs an operator, and without `standBy` any
 */
export async function claimLeadership(store: CheckpointStore, options: ClaimOptions): Promise<Leadership> {
  const { standBy, signal, listener, lastSaved } = options;
  const begunAt = performance.now();
  let shown: string | undefined;
  let rememberAt = 0;
  for (;;) {
    signal.throwIfAborted();
    const askedAt = now();
    try {
      const result = await store.acquire(signal);
      listener.onStoreError(undefined);
      if ('lease' in result) {
        const leadership = new Leadership(store, result.lease, askedAt, options);
        listener.onAcquired(leadership);
        return leadership;
      }
      const { heldBy } = result;
      const isOver = heldBy.isCertain || performance.now() - begunAt > CLAIM_TIMEOUT_MS;
      if (!standBy && isOver) throw heldByAnother(heldBy, store);
      if (shown !== holderText(heldBy)) listener.onHeld(heldBy);
      shown = holderText(heldBy);
      if (standBy && performance.now() >= rememberAt) {
        await remember(store, lastSaved);
        rememberAt = performance.now() + REMEMBER_INTERVAL_MS;
      }
    } catch (thrown) {
      const error = asCdcError(thrown);
      if (error.kind !== 'retry' || !standBy) throw error;
      listener.onStoreError(error);
    }
    await sleepUnlessAborted(POLL_INTERVAL_MS, signal);
  }
}

/** What a standby has seen last. It is a little older than what the leader has saved, so that some events repeat. */
async function remember(store: CheckpointStore, lastSaved: LastSaved): Promise<void> {
  try {
    const { checkpoint, usedEpoch } = await store.read();
    if (checkpoint !== undefined) lastSaved.checkpoint = checkpoint;
    lastSaved.epoch = Math.max(lastSaved.epoch, usedEpoch);
  } catch {
    // A store that cannot be read now, or a checkpoint that is damaged, shows when this process leads.
  }
}

const heldByAnother = (holder: LeaseHolder, { location }: CheckpointStore): CdcError =>
  new CdcError(`another cdc (${holderText(holder)}) runs with the checkpoint ${location}`, {
    exitCode: 2,
    hint: 'stop it, or give each pipeline its own name and checkpoint',
  });
