import { z } from 'zod';
import { type BackfillControl, REPAIR_KEY_MAX_CHARACTERS, REPAIR_KEYS_MAX } from '../backfill/control.ts';
import { MAX_LAG_MAX_MS, MAX_LAG_MIN_MS, PARALLEL_MAX, RATE_MAX } from '../config/backfill-schema.ts';
import { runCheck } from '../config/refinements.ts';
import { parseTableName, parseTablePattern } from '../model/table-filter.ts';
import { VERIFY_SCOPES } from '../model/verified-tables.ts';
import type { CdcError, ErrorDetails } from '../runtime/error.ts';
import type { DaemonStatus, StatusSource } from './status.ts';

/** The answer to a call, as JSON. */
export interface AdminReply {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** The part of `DaemonStatus` that does not depend on the pipeline. */
export type DaemonIdentity = Pick<DaemonStatus, 'name' | 'version' | 'pid' | 'startedAt'>;

/** What a call is about: which daemon, and its pipeline. */
export interface CallContext {
  daemon: DaemonIdentity;
  pipeline: StatusSource;
}

interface Endpoint {
  method: 'GET' | 'POST';
  /** @param body the JSON that was sent; undefined if nothing was */
  handle(context: CallContext, body: unknown): Promise<unknown> | unknown;
  /** The status of success; 200 by default. */
  status?: number;
}

const TABLES_MAX = 20_000;
const NAME_MAX_CHARACTERS = 1_000;
const WHERE_MAX_CHARACTERS = 100_000;
const TIME_MAX_CHARACTERS = 40;
/** What an answer names of a wrong request. */
const ISSUES_MAX = 20;

const wholeNumber = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message);
};

const tableList = (parse: (text: string) => unknown) =>
  z
    .array(
      z
        .string('must be text')
        .max(NAME_MAX_CHARACTERS, 'is too long')
        .superRefine((text, context) => {
          runCheck(context, () => parse(text));
        }),
      'must be a list of tables, such as ["shop.orders"]',
    )
    .max(TABLES_MAX, `must have at most ${TABLES_MAX} tables; use patterns`);

const backfillRequest = z.strictObject({
  tables: tableList(parseTablePattern),
  where: z.string('must be text').min(1, 'must not be empty').max(WHERE_MAX_CHARACTERS, 'is too long').exactOptional(),
  parallel: wholeNumber(1, PARALLEL_MAX).exactOptional(),
  rate: wholeNumber(1, RATE_MAX).exactOptional(),
  maxLagMs: wholeNumber(MAX_LAG_MIN_MS, MAX_LAG_MAX_MS).exactOptional(),
});

const cancelRequest = z.strictObject({ tables: tableList(parseTableName).min(1, 'must not be empty').optional() });

const name = z.string('must be text').min(1, 'must not be empty').max(NAME_MAX_CHARACTERS, 'is too long');
const time = z.iso
  .datetime('must be a time, such as 2026-01-31T12:00:00.000Z')
  .max(TIME_MAX_CHARACTERS, 'is too long')
  .transform((at) => new Date(at).toISOString());
const rowCount = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const verifiedRequest = z.strictObject({
  tables: z
    .array(
      z
        .strictObject({
          schema: name,
          table: name,
          at: time,
          scope: z.enum(VERIFY_SCOPES, `must be one of ${VERIFY_SCOPES.join(', ')}`),
          rows: rowCount,
          missing: rowCount,
          extra: rowCount,
          different: rowCount,
          repairOf: time.optional(),
        })
        .refine(({ scope, repairOf }) => repairOf === undefined || scope === 'part', {
          path: ['repairOf'],
          message: 'needs scope part',
        }),
      'must be a list of results',
    )
    .min(1, 'must not be empty')
    .max(TABLES_MAX, `must have at most ${TABLES_MAX} results`),
});

const repairRequest = z.strictObject({
  schema: name,
  table: name,
  keys: z
    .array(
      z
        .string('must be text')
        .max(REPAIR_KEY_MAX_CHARACTERS, 'is too long')
        .regex(/^\{[^\n\r]*\}$/, 'must be a JSON object in one line, as text'),
      'must be a list of the keys of events, such as ["{\\"id\\":1}"]',
    )
    .min(1, 'must not be empty')
    .max(REPAIR_KEYS_MAX, `must have at most ${REPAIR_KEYS_MAX} keys`),
});

/** A call that changes the backfill and is answered with its state. */
const change = (act: (backfill: BackfillControl, body: unknown) => void): Endpoint => ({
  method: 'POST',
  handle({ pipeline: { backfill } }, body) {
    act(backfill, body);
    return backfill.status();
  },
});

const ENDPOINTS: ReadonlyMap<string, readonly Endpoint[]> = new Map([
  [
    '/api/status',
    [
      {
        method: 'GET',
        handle: async ({ daemon, pipeline }): Promise<DaemonStatus> => ({
          ...daemon,
          stream: pipeline.stream(),
          backfill: pipeline.backfill.status(),
          tables: await pipeline.tables(),
        }),
      },
    ],
  ],
  [
    '/api/backfill',
    [
      { method: 'GET', handle: ({ pipeline }) => pipeline.backfill.status() },
      {
        method: 'POST',
        status: 202,
        handle: ({ pipeline }, body) => pipeline.backfill.start(parse(backfillRequest, body)),
      },
    ],
  ],
  ['/api/repair', [{ method: 'POST', handle: ({ pipeline }, body) => pipeline.repair(parse(repairRequest, body)) }]],
  ['/api/backfill/pause', [change((backfill) => backfill.pause())]],
  ['/api/backfill/resume', [change((backfill) => backfill.resume())]],
  ['/api/backfill/cancel', [change((backfill, body) => backfill.cancel(parse(cancelRequest, body ?? {}).tables))]],
  [
    '/api/verified',
    [
      {
        method: 'POST',
        async handle({ pipeline }, body) {
          await pipeline.verified(parse(verifiedRequest, body).tables);
          return {};
        },
      },
    ],
  ],
]);

/** A call that is wrong in itself. */
export class CallError extends Error {
  readonly reply: AdminReply;

  constructor(status: number, message: string, details: ErrorDetails = {}, headers: Record<string, string> = {}) {
    super(message);
    this.reply = { status, headers, body: errorBody(message, { exitCode: 2, ...details }) };
  }
}

/** The endpoint of a method and a path. @throws CallError if there is none */
export function findEndpoint(method: string, path: string): Endpoint {
  const endpoints = ENDPOINTS.get(path);
  if (endpoints === undefined) {
    throw new CallError(404, 'there is no such path', { hint: `use ${[...ENDPOINTS.keys()].join(', ')}` });
  }
  const found = endpoints.find((endpoint) => endpoint.method === method);
  if (found !== undefined) return found;
  const allowed = endpoints.map((endpoint) => endpoint.method).join(', ');
  throw new CallError(405, `${path} does not take this method`, { hint: `use ${allowed}` }, { Allow: allowed });
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

/** @throws CallError that names each key that is wrong, never its value */
function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  // What is wrong with the whole comes first: a list that is too long can have many issues.
  const issues = result.error.issues.toSorted((a, b) => a.path.length - b.path.length).slice(0, ISSUES_MAX);
  const why = issues.map(({ path, message }) => `${path.join('.') || 'the body'}: ${message}`).join('; ');
  throw new CallError(400, 'the request is not valid', { why });
}
