import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import { formatSeq } from '../../model/seq.ts';
import type { SnapshotPoint } from '../../model/snapshot-point.ts';
import type { EmitEvent, ImageLayout, RowImageOptions } from '../row-image-writer.ts';

/** The options that stay the same over a run of the daemon. */
export interface EventFormatOptions extends RowImageOptions {
  /** `source.name` of every event. */
  name: string;
  epoch: number;
  flatPrefix: string;
}

/** Writes the events of one format: the members around the row images. */
export interface EventFormatter {
  /** Prepares the parts that all rows of one rows event share. */
  begin(position: number, transaction: Transaction, now: number, partial: boolean): void;
  /** Writes the row at `at`: one event, or two where its key changes. Returns where the next row starts. */
  row(rows: RowsEvent, before: ImageLayout, after: ImageLayout, at: number, row: number, emit: EmitEvent): number;
  /** Prepares the parts that rows of a SELECT share. */
  beginSnapshot(at: SnapshotPoint, now: number): void;
  /** Writes a row of a SELECT. `ordinal` is the last part of its `seq`. */
  snapshotRow(row: RowsEvent, at: number, ordinal: number, emit: EmitEvent): void;
  /**
   * Writes the deletion of a key that a SELECT did not find, after `beginSnapshot`. The key columns are all it has.
   * @param key the JSON text of the key, which is written as it is
   * @throws CdcError if it is not the key of an event of the table
   */
  snapshotDelete(key: Buffer, ordinal: number, emit: EmitEvent): void;
  /**
   * Writes the event of a TRUNCATE. `ordinal` is the last part of its `seq`.
   * @param isSnapshot whether a copy of the table begins here, after `beginSnapshot`
   */
  truncate(ordinal: number, emit: EmitEvent, isSnapshot?: boolean): void;
}

/** Hex digits of the ordinal, the last part of `seq`. Only this part differs between the events of a rows event. */
export const ORDINAL_LENGTH = 10;

/** The `seq` of all events of a rows event, without the ordinal. */
export function seqPrefix(epoch: number, { fileNumber }: { fileNumber: number }, position: number): string {
  return formatSeq({ epoch, file: fileNumber, position, ordinal: 0 }).slice(0, -ORDINAL_LENGTH);
}

/** A snapshot row sorts after all events of the last transaction, and no event starts at its last byte. */
export function snapshotSeqPrefix(epoch: number, at: SnapshotPoint): string {
  return seqPrefix(epoch, at, at.position - 1);
}
