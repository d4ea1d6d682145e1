import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type Log = Logger;

/** JSON lines on standard error, because standard output is for the output of commands. */
export function createLog(
  name: string,
  level: string = process.env.CDC_LOG_LEVEL ?? 'info',
  stream?: DestinationStream,
): Log {
  return pino({ name, level, base: { name } }, stream ?? destination({ fd: 2, sync: true }));
}
