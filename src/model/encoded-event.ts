/**
 * One change event as the codec hands it on: its line and its key, both as offsets into `bytes`. One object serves all
 * events of a table, so a receiver copies what it keeps: everything is valid during the call only.
 */
export interface EncodedEvent {
  bytes: Buffer;
  /** The line is `bytes[from..to)`, newline included. */
  from: number;
  to: number;
  /** The key is `bytes[keyFrom..keyTo)`: a JSON object of the key columns, in key order; empty where there is no key. */
  keyFrom: number;
  keyTo: number;
  /** Hash of the table's name and the key. Equal keys have equal hashes; a hash alone never proves that keys are equal. */
  keyHash: number;
}
