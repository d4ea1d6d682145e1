/** Replaces a text that occurs once in a file of the daemon. */
export interface Edit {
  /** Path below src, without extension. */
  file: string;
  from: string;
  to: string;
}

/** @throws Error if the text does not occur exactly once, because the daemon has changed since the edit was written */
export function edited(source: string, { file, from, to }: Edit): string {
  const found = source.split(from).length - 1;
  if (found !== 1) throw new Error(`in ${file} this text occurs ${found} times, not once: ${from}`);
  return source.replace(from, () => to);
}
