import { CdcError } from '../runtime/error.ts';

/** Binlog coordinates: the byte before which everything has been read. Position in bytes, beyond 4 GiB too. */
export interface Coordinates {
  file: string;
  position: number;
}

/** The number in a binlog's name, `binlog.000012` is 12: file order within one epoch. */
export function fileNumber(file: string): number {
  const digits = /\.(\d+)$/.exec(file)?.[1];
  if (digits === undefined) throw new CdcError(`binlog file name "${file}" does not end in a number`);
  return Number(digits);
}

/** `binlog.000012:1234` as coordinates; undefined when the text has another form. */
export function parseCoordinates(text: string): Coordinates | undefined {
  const match = /^([^:]+\.\d+):(\d{1,15})$/.exec(text.trim());
  return match ? { file: match[1] as string, position: Number(match[2]) } : undefined;
}

/** Whether `a` lies before `b`, both of one server. */
export function isBefore(a: Coordinates, b: Coordinates): boolean {
  return a.file === b.file ? a.position < b.position : fileNumber(a.file) < fileNumber(b.file);
}
