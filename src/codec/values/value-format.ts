/** How values are written: the `values` section of the configuration. */
export interface ValueFormat {
  bigint: 'number' | 'string';
  decimal: 'string' | 'number';
  json: 'string' | 'nested';
  binary: 'base64' | 'hex';
  temporal: 'iso' | 'mysql' | 'epoch_micros';
  zero_dates: 'text' | 'null';
  /** The types whose 0 and 1 are `false` and `true`. */
  boolean: readonly ('tinyint1' | 'bit1')[];
}
