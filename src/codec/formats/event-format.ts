import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import { formatSeq } from '../../model/seq.ts';
import type { ImageLayout, RowImageOptions } from '../row-image-writer.ts';

/** What does not change over a run of the daemon. */
export interface EventFormatOptions extends RowImageOptions {
  /** `source.name` of every event. */
  name: string;
  epoch: number;
  flatPrefix: string;
}

/** Receives each finished line `bytes[from..to)`, newline included, valid during the call, and the hash of its key. */
export type EmitEvent = (keyHash: number, bytes: Buffer, from: number, to: number) => void;

/** Writes the lines of one format: the frame around the images of a row. */
export interface EventFormatter {
  /** Makes the parts that all lines of one event share. */
  begin(position: number, transaction: Transaction, now: number, partial: boolean): void;
  /** Writes the row at `at`: one line, two where its key changes. Returns where the next row starts. */
  row(rows: RowsEvent, before: ImageLayout, after: ImageLayout, at: number, row: number, emit: EmitEvent): number;
  /** Writes the line of a TRUNCATE. */
  truncate(emit: EmitEvent): void;
}

/** Hex digits of the ordinal, the last part of `seq`, which each line has of its own. */
export const ORDINAL_LENGTH = 10;

/** The `seq` of an event's lines up to their ordinal. */
export function seqPrefix(epoch: number, { fileNumber }: Transaction, position: number): string {
  return formatSeq({ epoch, file: fileNumber, position, ordinal: 0 }).slice(0, -ORDINAL_LENGTH);
}
