import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type Log = Logger;

/** JSON lines on standard error: standard output belongs to what a command prints. */
export function createLog(
  name: string,
  level: string = process.env.CDC_LOG_LEVEL ?? 'info',
  to?: DestinationStream,
): Log {
  return pino({ name, level, base: { name } }, to ?? destination({ fd: 2, sync: true }));
}
