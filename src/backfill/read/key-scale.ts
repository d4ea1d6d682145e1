import { ColumnType as T } from '../../model/table.ts';
import type { Parameter } from './execute-command.ts';
import { integerParameter, type KeyColumn, lengthEncoded } from './key-column.ts';

/**
 * Values of a key column as whole numbers in the same order, for halves and fractions. Nothing is exact about them: the
 * server moves the middle to an existing key.
 */
export interface KeyScale {
  position(value: Buffer): bigint;
  parameterAt(position: bigint): Parameter;
}

/** Undefined if bytes do not show where between two values a third one lies. */
export function keyScale(column: KeyColumn): KeyScale | undefined {
  switch (column.kind) {
    case 'integer':
      return { position: (value) => integerValue(value, column.unsigned), parameterAt: (at) => integerParameter(at) };
    case 'bit':
      return { position: (value) => bigEndian(value), parameterAt: (at) => integerParameter(at, true) };
    case 'decimal':
      return decimalScale(column.scale);
    case 'date':
      return { position: dateValue, parameterAt: dateParameter };
    case 'bytes':
      return { position: (value) => bigEndian(leadingBytes(value)), parameterAt: bytesParameter };
    default:
      return undefined;
  }
}

function integerValue(value: Buffer, unsigned: boolean): bigint {
  if (value.length === 8) return unsigned ? value.readBigUInt64LE() : value.readBigInt64LE();
  return BigInt(unsigned ? value.readUIntLE(0, value.length) : value.readIntLE(0, value.length));
}

const bigEndian = (value: Buffer): bigint => (value.length === 0 ? 0n : BigInt(`0x${value.toString('hex')}`));

const SCALE_BYTES = 8;
const leadingBytes = (value: Buffer): Buffer => Buffer.concat([value, Buffer.alloc(SCALE_BYTES)], SCALE_BYTES);

function bytesParameter(at: bigint): Parameter {
  const value = Buffer.alloc(SCALE_BYTES);
  value.writeBigUInt64BE(at);
  return { type: T.BLOB, unsigned: false, bytes: lengthEncoded(value) };
}

/** The server sends all digits of the fraction. */
const decimalScale = (scale: number): KeyScale => ({
  position: (value) => BigInt(value.toString('latin1').replace('.', '')),
  parameterAt(at) {
    const digits = String(at < 0n ? -at : at).padStart(scale + 1, '0');
    const whole = digits.slice(0, digits.length - scale);
    const text = `${at < 0n ? '-' : ''}${whole}${scale > 0 ? `.${digits.slice(-scale)}` : ''}`;
    return { type: T.NEWDECIMAL, unsigned: false, bytes: lengthEncoded(Buffer.from(text)) };
  },
});

const UNITS = [13n, 32n, 24n, 60n, 60n, 1_000_000n];

/** Year, month, day, hour, minute, second and microsecond, of which the last ones can be absent. */
function dateValue(value: Buffer): bigint {
  const year = value.length >= 4 ? value.readUInt16LE(0) : 0;
  const micros = value.length >= 11 ? value.readUInt32LE(7) : 0;
  const parts = [2, 3, 4, 5, 6].map((at) => (at < value.length ? (value[at] as number) : 0));
  return [...parts, micros].reduce((sum, part, i) => sum * (UNITS[i] as bigint) + BigInt(part), BigInt(year));
}

function dateParameter(at: bigint): Parameter {
  let rest = at;
  const parts: number[] = [];
  for (const unit of [...UNITS].reverse()) {
    parts.unshift(Number(rest % unit));
    rest /= unit;
  }
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0, micros = 0] = parts;
  const value = Buffer.alloc(12);
  value[0] = 11;
  value.writeUInt16LE(Number(rest), 1);
  value.set([Math.max(month, 1), Math.min(Math.max(day, 1), 28), hour, minute, second], 3);
  value.writeUInt32LE(micros, 8);
  return { type: T.DATETIME, unsigned: false, bytes: value };
}
