import type { Checkpoint } from './checkpoint.ts';
import type { CheckpointStore } from './checkpoint-store.ts';

/** The minimum time between two writes of a checkpoint file. */
export const CHECKPOINT_INTERVAL_MS = 200;

/** Where a checkpointer writes. */
export interface CheckpointTarget {
  saveIntervalMs: CheckpointStore['saveIntervalMs'];
  save(checkpoint: Checkpoint): Promise<void>;
}

export interface CheckpointerOptions {
  /** The position that is delivered at the time of the call. */
  current: () => Checkpoint;
  /** How many events were delivered so far; while it stays the same, saves are rarer. */
  deliveredEvents: () => number;
  onError: (error: unknown) => void;
  /** Hears of each checkpoint once it is durable. */
  onSaved?: (checkpoint: Checkpoint) => void;
}

/** Saves the checkpoint after it moved: one write at a time, at most one each interval. */
export class Checkpointer {
  readonly #target: CheckpointTarget;
  readonly #options: CheckpointerOptions;
  /** When it was saved last, in milliseconds since 1970; undefined before the first time. */
  savedAt: number | undefined;
  #savedEvents = 0;
  #dirty = false;
  #timer: NodeJS.Timeout | undefined;
  #timerIsIdle = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(target: CheckpointTarget, options: CheckpointerOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** The delivered position has moved: it is saved within the interval. */
  markDirty(): void {
    this.#dirty = true;
    if (this.#timer !== undefined && !this.#timerIsIdle) return;
    const isIdle = this.#options.deliveredEvents() === this.#savedEvents;
    if (this.#timer !== undefined && isIdle) return;
    clearTimeout(this.#timer);
    const { busy, idle } = this.#target.saveIntervalMs;
    this.#timerIsIdle = isIdle && idle > busy;
    this.#timer = setTimeout(() => void this.save().catch(this.#options.onError), isIdle ? idle : busy);
  }

  /** Writes the position that is delivered now, if it has moved since the last write. */
  async save(): Promise<void> {
    await this.#writing;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Another save can have begun meanwhile.
    if (!this.#dirty) return this.#writing;
    this.#dirty = false;
    const events = this.#options.deliveredEvents();
    const checkpoint = this.#options.current();
    this.#writing = this.#target.save(checkpoint);
    try {
      await this.#writing;
      this.savedAt = Date.now();
      this.#savedEvents = events;
      this.#options.onSaved?.(checkpoint);
    } catch (error) {
      this.#dirty = true;
      this.#writing = Promise.resolve();
      throw error;
    }
  }
}
