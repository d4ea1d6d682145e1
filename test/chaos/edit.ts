/** Text that stands once in a file of the daemon, and what stands there instead. */
export interface Edit {
  /** Without extension, below src. */
  file: string;
  from: string;
  to: string;
}

/** @throws Error when the text is not there exactly once: the daemon has changed, and the edit has to follow */
export function edited(source: string, { file, from, to }: Edit): string {
  const found = source.split(from).length - 1;
  if (found !== 1) throw new Error(`in ${file} this stands ${found} times, not once: ${from}`);
  return source.replace(from, () => to);
}
