import type { CdcError, ErrorDetails } from '../runtime/error.ts';

/** The answer to a call. A body that is no text or bytes is sent as JSON. */
export interface AdminReply {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** A call that is wrong in itself. */
export class CallError extends Error {
  readonly reply: AdminReply;

  constructor(status: number, message: string, details: ErrorDetails = {}, headers: Record<string, string> = {}) {
    super(message);
    this.reply = { status, headers, body: errorBody(message, { exitCode: 2, ...details }) };
  }
}

/** The body of an answer that reports an error. */
export const errorBody = (message: string, { why, hint, exitCode }: ErrorDetails): unknown => ({
  error: { message, ...(why && { why }), ...(hint && { hint }), exitCode: exitCode ?? 1 },
});

/** The answer for an error of the pipeline. */
export function commandErrorReply(error: CdcError): AdminReply {
  const status = error.exitCode === 2 ? 400 : error.kind === 'retry' ? 503 : error.exitCode === 1 ? 500 : 409;
  const { why, hint, exitCode } = error;
  return { status, body: errorBody(error.message, { ...(why && { why }), ...(hint && { hint }), exitCode }) };
}
