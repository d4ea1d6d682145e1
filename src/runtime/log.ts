import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { asCdcError, CdcError } from './error.ts';

export type Log = Logger;

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/**
 * JSON lines on standard error, because standard output is for the output of commands.
 * @throws CdcError with exit code 2 if CDC_LOG_LEVEL names no level; empty it stands for the default
 */
export function createLog(
  name: string,
  level: string = process.env.CDC_LOG_LEVEL || 'info',
  stream?: DestinationStream,
): Log {
  if (!LEVELS.includes(level)) {
    throw new CdcError(`the environment variable CDC_LOG_LEVEL is ${level}, which is no level`, {
      exitCode: 2,
      hint: 'use info, which is the default, or warn',
    });
  }
  return pino({ name, level, base: { name } }, stream ?? destination({ fd: 2, sync: true }));
}

/** Logs the error that ends the process as a line like the others: programs read them. */
export function logLastError(log: Log, error: unknown): CdcError {
  const last = asCdcError(error);
  log.fatal({ why: last.why, hint: last.hint, exitCode: last.exitCode }, last.message);
  return last;
}
