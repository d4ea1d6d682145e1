import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { asCdcError, CdcError } from './error.ts';

export type Log = Logger;

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
const FORMATS = ['json', 'text'];

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
  return pino({ name, level, base: { name } }, stream ?? standardError());
}

/** A line of level warn or above. */
export interface LogWarning {
  /** ISO 8601 */
  at: string;
  level: 'warn' | 'error' | 'fatal';
  message: string;
  why: string | null;
  hint: string | null;
}

/**
 * The log of `cdc run` on standard error: for a person if that is a terminal, otherwise as JSON lines. CDC_LOG_FORMAT
 * and CDC_LOG_LEVEL of the environment set it; empty they stand for the default.
 * @param onWarning receives each line of level warn or above, also those that the level leaves out
 * @throws CdcError with exit code 2 if one of the two has no known value
 */
export async function openLog(name: string, onWarning?: (warning: LogWarning) => void): Promise<Log> {
  const level = process.env.CDC_LOG_LEVEL || 'info';
  const stream = await formattedOutput();
  if (onWarning === undefined) return createLog(name, level, stream);
  const log = createLog(name, level, new WarningTap(stream, onWarning, pino.levels.values[level] ?? 0));
  if (!log.isLevelEnabled('warn')) log.level = 'warn';
  return log;
}

async function formattedOutput(): Promise<LogOutput> {
  const format = process.env.CDC_LOG_FORMAT || (process.stderr.isTTY ? 'text' : 'json');
  if (!FORMATS.includes(format)) {
    throw new CdcError(`the environment variable CDC_LOG_FORMAT is ${format}, which is no format`, {
      exitCode: 2,
      hint: 'use json or text; without it, a terminal gets text, and everything else JSON',
    });
  }
  const output = standardError();
  if (format === 'json') return output;
  const { textFormatter } = await import('./log-text.ts');
  const toText = textFormatter(process.stderr.isTTY && process.stderr.hasColors());
  return { write: (line) => output.write(toText(line)) };
}

type LogOutput = Pick<DestinationStream, 'write'>;

/** Written at once, so that the last line before an exit is not lost. */
const standardError = () => destination({ fd: 2, sync: true });

/** The number of level warn in pino. */
const WARN = 40;
/** What pino sets on a stream before it writes to it, if the stream has this property. */
const NEEDS_METADATA = Symbol.for('pino.metadata');

/** Passes lines on, and reports those of level warn or above. Other lines cost it a comparison. */
class WarningTap implements DestinationStream {
  readonly [NEEDS_METADATA] = true;
  lastLevel = 0;
  lastMsg: string | undefined;
  lastObj: unknown;
  readonly #output: LogOutput;
  readonly #onWarning: (warning: LogWarning) => void;
  readonly #minLevel: number;

  /** @param minLevel lines below it are reported only */
  constructor(output: LogOutput, onWarning: (warning: LogWarning) => void, minLevel: number) {
    this.#output = output;
    this.#onWarning = onWarning;
    this.#minLevel = minLevel;
  }

  write(line: string): void {
    if (this.lastLevel >= this.#minLevel) this.#output.write(line);
    if (this.lastLevel < WARN) return;
    const { why, hint } = (this.lastObj ?? {}) as { why?: unknown; hint?: unknown };
    this.#onWarning({
      at: new Date().toISOString(),
      level: pino.levels.labels[this.lastLevel] as LogWarning['level'],
      message: this.lastMsg ?? '',
      why: typeof why === 'string' ? why : null,
      hint: typeof hint === 'string' ? hint : null,
    });
  }
}

/** Logs the error that ends the process as a line like the others: programs read them. */
export function logLastError(log: Log, error: unknown): CdcError {
  const last = asCdcError(error);
  log.fatal({ why: last.why, hint: last.hint, exitCode: last.exitCode }, last.message);
  return last;
}
