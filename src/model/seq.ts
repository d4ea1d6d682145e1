/**
 * `seq`, the one field a consumer needs to order and to deduplicate: 36 hex digits whose byte order is the order
 * of events.
 *
 *     epoch (8)  file number (8)  position (10)  ordinal (10)
 *
 * `epoch` is the second at which coordinates began anew: the first start, or another server. So it grows even where
 * the checkpoint that held the last one is gone.
 * `position` is where the rows event starts in the file. `ordinal` is where the row image starts inside that event
 * (inside the decompressed payload, for a compressed transaction): unique, growing, and the same after any restart
 * or change of configuration, which a running counter would not be.
 */
export const SEQ_LENGTH = 36;

export interface SeqParts {
  epoch: number;
  file: number;
  position: number;
  ordinal: number;
}

export function formatSeq({ epoch, file, position, ordinal }: SeqParts): string {
  return hex(epoch, 8) + hex(file, 8) + hex(position, 10) + hex(ordinal, 10);
}

/** The parts of a seq; undefined when the text is none. */
export function parseSeq(text: string): SeqParts | undefined {
  if (!/^[0-9a-f]{36}$/.test(text)) return undefined;
  const part = (from: number, to: number): number => Number.parseInt(text.slice(from, to), 16);
  return { epoch: part(0, 8), file: part(8, 16), position: part(16, 26), ordinal: part(26, 36) };
}

function hex(value: number, width: number): string {
  const digits = value.toString(16);
  if (digits.length > width) throw new RangeError(`${value} does not fit into ${width} hex digits of a seq`);
  return digits.padStart(width, '0');
}
