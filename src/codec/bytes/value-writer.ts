import type { ByteWriter } from './byte-writer.ts';

/**
 * Reads one non-NULL value at `at` in the row image that ends at `end`, and appends its JSON to `out`. Returns the
 * offset after the value. A fixed-size read can pass `end` inside the buffer, so the caller must check the final
 * offset.
 */
export type ValueWriter = (src: Buffer, at: number, end: number, out: ByteWriter) => number;

/** Writes the bytes `src[from..to)` of one value as JSON. */
export type BytesFormatter = (out: ByteWriter, src: Buffer, from: number, to: number) => void;
