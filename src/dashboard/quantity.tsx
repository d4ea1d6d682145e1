import type { JSX } from 'preact';
import { byteSize, count, exactCount } from './format.ts';

/** A number as it is read; its title and its value have every digit. */
export function Count({ value }: { value: number }): JSX.Element {
  return (
    <data value={value} title={exactCount(value)}>
      {count(value)}
    </data>
  );
}

export function Bytes({ value }: { value: number }): JSX.Element {
  return (
    <data value={value} title={`${exactCount(value)} bytes`}>
      {byteSize(value)}
    </data>
  );
}
