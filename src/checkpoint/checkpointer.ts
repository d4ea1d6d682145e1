import type { Checkpoint, CheckpointFile } from './checkpoint-file.ts';

/** The minimum time between two writes of the checkpoint. */
export const CHECKPOINT_INTERVAL_MS = 200;

/** Saves the checkpoint after it moved: one write at a time, at most one each interval. */
export class Checkpointer {
  readonly #file: CheckpointFile;
  readonly #current: () => Checkpoint;
  readonly #onError: (error: unknown) => void;
  readonly #onSaved: ((checkpoint: Checkpoint) => void) | undefined;
  #dirty = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param current returns the position that is delivered at the time of the call
   * @param onSaved hears of each checkpoint once it is durable
   */
  constructor(
    file: CheckpointFile,
    current: () => Checkpoint,
    onError: (error: unknown) => void,
    onSaved?: (checkpoint: Checkpoint) => void,
  ) {
    this.#file = file;
    this.#current = current;
    this.#onError = onError;
    this.#onSaved = onSaved;
  }

  /** The delivered position has moved: it is saved within the interval. */
  markDirty(): void {
    this.#dirty = true;
    this.#timer ??= setTimeout(() => {
      this.save().catch(this.#onError);
    }, CHECKPOINT_INTERVAL_MS);
  }

  /** Writes the position that is delivered now, if it has moved since the last write. */
  async save(): Promise<void> {
    await this.#writing;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Another save can have begun meanwhile.
    if (!this.#dirty) return this.#writing;
    this.#dirty = false;
    const checkpoint = this.#current();
    this.#writing = this.#file.save(checkpoint);
    try {
      await this.#writing;
      this.#onSaved?.(checkpoint);
    } catch (error) {
      this.#dirty = true;
      this.#writing = Promise.resolve();
      throw error;
    }
  }
}
