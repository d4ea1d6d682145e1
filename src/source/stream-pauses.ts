import type { ChangeStream } from './change-stream.ts';

/** Pauses the stream while at least one reason to pause lasts. */
export class StreamPauses {
  readonly #stream: Pick<ChangeStream, 'pause' | 'resume'>;
  #count = 0;

  constructor(stream: Pick<ChangeStream, 'pause' | 'resume'>) {
    this.#stream = stream;
  }

  /** Begins a pause. Returns the function that ends it. */
  begin(): () => void {
    if (this.#count++ === 0) this.#stream.pause();
    let hasEnded = false;
    return () => {
      if (hasEnded) return;
      hasEnded = true;
      if (--this.#count === 0) this.#stream.resume();
    };
  }
}
