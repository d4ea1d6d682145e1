import { z } from 'zod';
import { type BackfillControl, REPAIR_KEY_MAX_CHARACTERS, REPAIR_KEYS_MAX } from '../backfill/control.ts';
import { MAX_LAG_MAX_MS, MAX_LAG_MIN_MS, PARALLEL_MAX, RATE_MAX } from '../config/backfill-schema.ts';
import { runCheck } from '../config/refinements.ts';
import { parseTableName, parseTablePattern } from '../model/table-filter.ts';
import { VERIFY_SCOPES } from '../model/verified-tables.ts';
import { type AdminReply, CallError } from './call-error.ts';
import type { HistoryRecorder } from './history.ts';
import type { Metrics } from './metrics.ts';
import type { StatusSource } from './status.ts';
import type { StatusReader } from './status-reader.ts';

/** What a call is about. */
export interface CallContext {
  reader: Pick<StatusReader, 'read' | 'health'>;
  history: Pick<HistoryRecorder, 'since'>;
  /** Loaded when it is asked for first. */
  metrics(): Promise<Metrics>;
  /** @throws CallError if no pipeline runs */
  pipeline(): StatusSource;
}

interface Endpoint {
  method: 'GET' | 'POST';
  /** @param body the JSON that was sent; undefined if nothing was */
  handle(context: CallContext, body: unknown, query: URLSearchParams): Promise<AdminReply> | AdminReply;
}

const json = (body: unknown, status = 200): AdminReply => ({ status, body });

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
  handle({ pipeline }, body) {
    const { backfill } = pipeline();
    act(backfill, body);
    return json(backfill.status());
  },
});

const get = (handle: Endpoint['handle']): Endpoint => ({ method: 'GET', handle });
const post = (handle: Endpoint['handle']): Endpoint => ({ method: 'POST', handle });

const ENDPOINTS: ReadonlyMap<string, readonly Endpoint[]> = new Map([
  // The daemon is alive while it answers, whatever it waits for.
  ['/healthz', [get(() => json({ status: 'ok' }))]],
  [
    '/readyz',
    [
      // For an orchestrator that replaces one process after the other, a standby is as ready as it can be.
      get(({ reader }, _, query) => {
        const health = reader.health();
        const standsBy = health.problems.some(({ code }) => code === 'standby');
        return json(health, health.ready || (standsBy && query.get('standby') === 'ok') ? 200 : 503);
      }),
    ],
  ],
  [
    '/metrics',
    [
      get(async (context) => {
        const metrics = await context.metrics();
        return { status: 200, body: await metrics.text(), headers: { 'Content-Type': metrics.contentType } };
      }),
    ],
  ],
  ['/api/status', [get(async ({ reader }) => json(await reader.read()))]],
  ['/api/history', [get(({ history }, _, query) => json(history.since(parseSince(query))))]],
  [
    '/api/backfill',
    [
      get(({ pipeline }) => json(pipeline().backfill.status())),
      post(async ({ pipeline }, body) => json(await pipeline().backfill.start(parse(backfillRequest, body)), 202)),
    ],
  ],
  ['/api/repair', [post(async ({ pipeline }, body) => json(await pipeline().repair(parse(repairRequest, body))))]],
  ['/api/backfill/pause', [change((backfill) => backfill.pause())]],
  ['/api/backfill/resume', [change((backfill) => backfill.resume())]],
  ['/api/backfill/cancel', [change((backfill, body) => backfill.cancel(parse(cancelRequest, body ?? {}).tables))]],
  [
    '/api/verified',
    [
      post(async ({ pipeline }, body) => {
        await pipeline().verified(parse(verifiedRequest, body).tables);
        return json({});
      }),
    ],
  ],
]);

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

/** Milliseconds since 1970; everything without it. */
function parseSince(query: URLSearchParams): number {
  const text = query.get('since');
  if (text === null) return 0;
  if (!/^\d{1,16}(\.\d+)?$/.test(text)) {
    throw new CallError(400, 'the request is not valid', { why: 'since: must be milliseconds since 1970' });
  }
  return Number(text);
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
