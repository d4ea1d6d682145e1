import { CdcError } from '../runtime/error.ts';

/** Binlog coordinates: a file and a byte offset in it. The offset can exceed 4 GiB. */
export interface Coordinates {
  file: string;
  position: number;
}

/** The number in the name of a binlog: 12 for `binlog.000012`. It orders the files of one epoch. */
export function fileNumber(file: string): number {
  const digits = /\.(\d+)$/.exec(file)?.[1];
  if (digits === undefined) throw new CdcError(`binlog file name "${file}" does not end in a number`);
  return Number(digits);
}

/** Parses `binlog.000012:1234`. Returns undefined if the text has another form. */
export function parseCoordinates(text: string): Coordinates | undefined {
  const match = /^([^:]+\.\d+):(\d{1,15})$/.exec(text.trim());
  return match ? { file: match[1] as string, position: Number(match[2]) } : undefined;
}

/** Whether `a` is before `b`. Both must be of the same server. */
export function isBefore(a: Coordinates, b: Coordinates): boolean {
  return a.file === b.file ? a.position < b.position : fileNumber(a.file) < fileNumber(b.file);
}
