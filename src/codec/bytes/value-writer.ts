import type { ByteWriter } from './byte-writer.ts';

/**
 * Writes one non-NULL value: reads it at `at` in the row image, which ends at `end`, appends its JSON to `out` and
 * returns the offset after it. A fixed-size read may pass `end` inside the buffer; the caller checks the sum.
 */
export type ValueWriter = (src: Buffer, at: number, end: number, out: ByteWriter) => number;

/** Writes the bytes `src[from..to)` of one value as JSON. */
export type BytesFormatter = (out: ByteWriter, src: Buffer, from: number, to: number) => void;
