import { printable } from './printable.ts';

/**
 * The kind alone decides what happens after an error:
 * - `retry`: it can clear by itself; the daemon starts the pipeline again with backoff.
 * - `fatal`: it needs an operator; the daemon stops, and its checkpoint does not move.
 */
export type ErrorKind = 'retry' | 'fatal';

/** Exit codes of every command: 1 failed, 2 usage or configuration, 3 preflight failed, 4 data differs or is lost. */
export type ExitCode = 1 | 2 | 3 | 4;

export interface ErrorDetails {
  kind?: ErrorKind;
  exitCode?: ExitCode;
  /** Why it happened, if the message does not say it. */
  why?: string;
  /** What the operator should do. */
  hint?: string;
  cause?: unknown;
}

/** The only error class: what happened (`message`), why, and what to do about it. */
export class CdcError extends Error {
  readonly kind: ErrorKind;
  readonly exitCode: ExitCode;
  readonly why: string | undefined;
  readonly hint: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'CdcError';
    this.kind = details.kind ?? 'fatal';
    this.exitCode = details.exitCode ?? 1;
    this.why = details.why;
    this.hint = details.hint;
  }
}

/** Any thrown value as a CdcError. An error that was not classified is fatal. */
export function asCdcError(error: unknown): CdcError {
  if (error instanceof CdcError) return error;
  if (error instanceof Error) return new CdcError(error.message || error.name, { cause: error });
  return new CdcError(String(error));
}

/**
 * The same error with more context in its message; the original becomes the cause.
 * @param describe makes the new message from the original one
 * @param hint used only if the error has none
 */
export function withContext(error: unknown, describe: (message: string) => string, hint?: string): CdcError {
  const original = asCdcError(error);
  const details: ErrorDetails = { kind: original.kind, exitCode: original.exitCode, cause: error };
  if (original.why) details.why = original.why;
  const newHint = original.hint ?? hint;
  if (newHint) details.hint = newHint;
  return new CdcError(describe(original.message), details);
}

/**
 * The lines that a person reads on standard error: what happened, why, and what to do. A name or a message of a server
 * in them cannot command the terminal.
 */
export function formatError(error: unknown): string {
  const { message, why, hint } = asCdcError(error);
  const lines = [`error: ${message}`];
  if (why) lines.push(`  why: ${why}`);
  if (hint) lines.push(`  do:  ${hint}`);
  return lines.join('\n').split('\n').map(printable).join('\n');
}
