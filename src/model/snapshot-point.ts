/** Where in the stream rows that SELECT returned belong: after one transaction and before the next. */
export interface SnapshotPoint {
  file: string;
  /** The number in the name of the file. */
  fileNumber: number;
  /** The end of the last transaction before the rows. */
  position: number;
  /** When the rows were read, in milliseconds. */
  readAt: number;
}
