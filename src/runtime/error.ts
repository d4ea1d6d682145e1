/**
 * What becomes of an error, decided by its kind alone:
 * - `retry`: it may heal; the daemon starts again with backoff.
 * - `fatal`: it will not heal by itself; the daemon stops with its checkpoint unmoved.
 */
export type ErrorKind = 'retry' | 'fatal';

/** Exit codes of every command: 1 failed, 2 usage or configuration, 3 preflight failed, 4 data differs or is gone. */
export type ExitCode = 1 | 2 | 3 | 4;

export interface ErrorDetails {
  kind?: ErrorKind;
  exitCode?: ExitCode;
  /** Why it happened, when the message alone does not say. */
  why?: string;
  /** What the operator should do. */
  hint?: string;
  cause?: unknown;
}

/** The one error class: what happened (`message`), why, and what to do about it. */
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

/** Any thrown value as a CdcError; what nobody classified is fatal. */
export function asCdcError(error: unknown): CdcError {
  if (error instanceof CdcError) return error;
  if (error instanceof Error) return new CdcError(error.message || error.name, { cause: error });
  return new CdcError(String(error));
}

/** The what / why / what to do lines that a person reads on standard error. */
export function formatError(error: unknown): string {
  const { message, why, hint } = asCdcError(error);
  const lines = [`error: ${message}`];
  if (why) lines.push(`  why: ${why}`);
  if (hint) lines.push(`  do:  ${hint}`);
  return lines.join('\n');
}
