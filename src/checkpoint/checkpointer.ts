import type { Checkpoint, CheckpointFile } from './checkpoint-file.ts';

const INTERVAL_MS = 200;

/** Saves the checkpoint while it moves: one write at a time, at most five a second. */
export class Checkpointer {
  readonly #file: CheckpointFile;
  readonly #current: () => Checkpoint;
  readonly #onError: (error: unknown) => void;
  #dirty = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** @param current gives what is delivered at the moment of the call */
  constructor(file: CheckpointFile, current: () => Checkpoint, onError: (error: unknown) => void) {
    this.#file = file;
    this.#current = current;
    this.#onError = onError;
  }

  markDirty(): void {
    this.#dirty = true;
    this.#timer ??= setTimeout(() => {
      this.save().catch(this.#onError);
    }, INTERVAL_MS);
  }

  /** Writes what is delivered now, if it has moved since the last write. */
  async save(): Promise<void> {
    await this.#writing;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Another save may have begun meanwhile.
    if (!this.#dirty) return this.#writing;
    this.#dirty = false;
    this.#writing = this.#file.save(this.#current());
    try {
      await this.#writing;
    } catch (error) {
      this.#dirty = true;
      this.#writing = Promise.resolve();
      throw error;
    }
  }
}
