/**
 * `seq` is the one field that a consumer needs to order and deduplicate events. It has 36 hex digits; their byte order
 * is the order of the events.
 *
 *     epoch (8)  file number (8)  position (10)  ordinal (10)
 *
 * `epoch` is the time, in seconds, at which the coordinates restarted: the first start, or a change of the server. It
 * therefore grows even if the checkpoint with the last epoch is lost.
 * `position` is the offset of the rows event in the file. `ordinal` is the offset of the row image in that event, or in
 * the decompressed payload of a compressed transaction. The ordinal is unique, grows, and stays the same after every
 * restart or change of the configuration. A running counter would not.
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

/** The parts of a seq. Returns undefined if the text is not a seq. */
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
