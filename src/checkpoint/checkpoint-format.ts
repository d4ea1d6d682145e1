import { createHash } from 'node:crypto';
import { z } from 'zod';
import { NO_BACKFILL, type TableProgress } from '../model/backfill-progress.ts';
import type { BinlogFingerprint } from '../model/binlog-fingerprint.ts';
import { COMPLETE_BECAUSE, type CompleteTable } from '../model/coverage.ts';
import type { IncompleteTable } from '../model/incomplete-tables.ts';
import { VERIFY_SCOPES, type VerifiedTable } from '../model/verified-tables.ts';
import { CdcError } from '../runtime/error.ts';
import type { Checkpoint } from './checkpoint.ts';

/**
 * The version of the file format. A file of an older version is read, and the next save writes the new one.
 * - 1 (0.1.0): the first format.
 * - 2: `incomplete` and `binlog`.
 * - 3: `coverage` and `backfill`.
 * - 4: `dropped` and `verified` in `coverage`.
 */
const VERSION = 4;

const coordinates = z.strictObject({ file: z.string(), position: z.int().min(0) });

const resolvedTable = z.strictObject({
  schema: z.string(),
  table: z.string(),
  shape: z.string(),
  from: coordinates,
  until: coordinates.nullable(),
  columns: z.array(
    z.strictObject({
      name: z.string(),
      type: z.int(),
      meta: z.int(),
      nullable: z.boolean(),
      unsigned: z.boolean(),
      collation: z.int(),
      labels: z.array(z.string()).readonly(),
    }),
  ),
  primaryKey: z.array(z.int()),
});

const incompleteTable = z.strictObject({
  schema: z.string(),
  table: z.string(),
  file: z.string(),
  position: z.int().min(0),
  since: z.string(),
  why: z.string(),
});

const fingerprint = z.strictObject({
  created: z.int().min(0),
  position: z.int().min(0),
  digest: z.int().min(0),
  gtid: z.string(),
  committed: z.int().min(0),
});

/** The order of the keys is that of the file, because the checksum is over its text. */
const sinceVersion1 = {
  name: z.string(),
  server: z.strictObject({ flavor: z.enum(['mysql', 'mariadb']), identity: z.string() }),
  epoch: z.int().min(0).max(0xffffffff),
  gtids: z.string().nullable(),
  file: z.string(),
  position: z.int().min(0),
  tables: z.array(resolvedTable),
};
const atTheEnd = { saved_at: z.string(), checksum: z.string() };

const sinceVersion2 = { ...sinceVersion1, incomplete: z.array(incompleteTable), binlog: fingerprint.nullable() };

const completeTable = z.strictObject({
  schema: z.string(),
  table: z.string(),
  since: z.string(),
  why: z.enum(COMPLETE_BECAUSE),
});

const count = z.int().min(0);
const verifiedTable = z.strictObject({
  schema: z.string(),
  table: z.string(),
  at: z.string(),
  scope: z.enum(VERIFY_SCOPES),
  rows: count,
  missing: count,
  extra: count,
  different: count,
  hasEarlier: z.boolean(),
});

const key = z.array(z.string()).nullable();
const tableProgress = z.strictObject({
  schema: z.string(),
  table: z.string(),
  request: z.string(),
  where: z.string().nullable(),
  key: z.string(),
  begun: z.boolean(),
  rows: z.int().min(0),
  estimatedRows: z.int().min(0),
  ranges: z.array(z.strictObject({ after: key, upTo: key })),
});

const coverageSinceVersion3 = {
  fresh: z.boolean(),
  tables: z.array(z.string()),
  followedSince: z.string().nullable(),
  complete: z.array(completeTable),
};
const backfillSinceVersion3 = z.strictObject({
  paused: z.boolean(),
  parallel: z.int().nullable(),
  rate: z.int().nullable(),
  maxLagMs: z.int().nullable(),
  ordinals: z.int().min(0),
  tables: z.array(tableProgress),
});

const storedSchema = z.discriminatedUnion('version', [
  z.strictObject({ version: z.literal(1), ...sinceVersion1, ...atTheEnd }),
  z.strictObject({ version: z.literal(2), ...sinceVersion2, ...atTheEnd }),
  z.strictObject({
    version: z.literal(3),
    ...sinceVersion2,
    coverage: z.strictObject(coverageSinceVersion3),
    backfill: backfillSinceVersion3,
    ...atTheEnd,
  }),
  z.strictObject({
    version: z.literal(VERSION),
    ...sinceVersion2,
    coverage: z.strictObject({
      ...coverageSinceVersion3,
      dropped: z.array(completeTable),
      verified: z.array(verifiedTable),
    }),
    backfill: backfillSinceVersion3,
    ...atTheEnd,
  }),
]);
type StoredCheckpoint = z.infer<typeof storedSchema>;

const checksumOf = (content: Record<string, unknown>): string =>
  createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);

/** In the key order of the file. */
const storedFingerprint = ({ created, position, digest, gtid, committed }: BinlogFingerprint): BinlogFingerprint => ({
  created,
  position,
  digest,
  gtid,
  committed,
});

const storedIncomplete = ({ schema, table, file, position, since, why }: IncompleteTable): IncompleteTable => ({
  schema,
  table,
  file,
  position,
  since,
  why,
});

const NO_COVERAGE: NonNullable<Checkpoint['coverage']> = { followedSince: null, complete: [] };

const storedComplete = ({ schema, table, since, why }: CompleteTable): CompleteTable => ({ schema, table, since, why });

const storedVerified = (result: VerifiedTable): Required<VerifiedTable> => {
  const { schema, table, at, scope, rows, missing, extra, different, hasEarlier = false } = result;
  return { schema, table, at, scope, rows, missing, extra, different, hasEarlier };
};

const storedProgress = (table: TableProgress): TableProgress => {
  const { schema, table: name, request, where, key, begun, rows, estimatedRows, ranges } = table;
  return {
    ...{ schema, table: name, request, where, key, begun, rows, estimatedRows },
    ranges: ranges.map(({ after, upTo }) => ({ after, upTo })),
  };
};

/** Where a checkpoint is, as messages name it, and what to do about one that cannot be used. */
export interface CheckpointPlace {
  /** `the checkpoint state/shop.json` */
  what: string;
  /** After "restore it from a copy; or ". */
  startOver: string;
  /** What to do about the checkpoint of another pipeline. */
  separate: string;
}

/** The text of a checkpoint: JSON with a checksum, whole or not usable. */
export function formatCheckpoint(checkpoint: Checkpoint, savedAt: Date): string {
  const { name, server, epoch, gtids, file, position, tables, incomplete, binlog } = checkpoint;
  const { coverage = NO_COVERAGE, backfill = NO_BACKFILL } = checkpoint;
  const content = {
    version: VERSION,
    name,
    server: { flavor: server.flavor, identity: server.identity },
    epoch,
    gtids,
    file,
    position,
    tables,
    incomplete: incomplete.map(storedIncomplete),
    binlog: binlog === undefined ? null : storedFingerprint(binlog),
    coverage: {
      fresh: coverage.fresh ?? false,
      tables: coverage.tables ?? [],
      followedSince: coverage.followedSince,
      complete: coverage.complete.map(storedComplete),
      dropped: (coverage.dropped ?? []).map(storedComplete),
      verified: (coverage.verified ?? []).map(storedVerified),
    },
    backfill: {
      paused: backfill.paused,
      parallel: backfill.parallel,
      rate: backfill.rate,
      maxLagMs: backfill.maxLagMs,
      ordinals: backfill.ordinals,
      tables: backfill.tables.map(storedProgress),
    },
    saved_at: savedAt.toISOString(),
  };
  return `${JSON.stringify({ ...content, checksum: checksumOf(content) }, null, 2)}\n`;
}

/** @throws CdcError with exit code 2 if the text is damaged, of a later version, or of another pipeline */
export function parseCheckpoint(
  text: string,
  name: string,
  place: CheckpointPlace,
): { checkpoint: Checkpoint; savedAt: number } {
  const stored = parseStored(text, place);
  if (stored.name !== name) {
    throw new CdcError(`${place.what} belongs to "${stored.name}", not to "${name}"`, {
      exitCode: 2,
      hint: place.separate,
    });
  }
  const { server, epoch, gtids, file, position, tables } = stored;
  const { incomplete, binlog } = stored.version === 1 ? { incomplete: [], binlog: null } : stored;
  const checkpoint: Checkpoint = {
    ...{ name, server, epoch, gtids, file, position, tables, incomplete },
    ...(binlog && { binlog }),
    ...('coverage' in stored && { coverage: stored.coverage, backfill: stored.backfill }),
  };
  return { checkpoint, savedAt: Date.parse(stored.saved_at) };
}

function parseStored(text: string, { what, startOver }: CheckpointPlace): StoredCheckpoint {
  const damaged = (why: string): CdcError =>
    new CdcError(`${what} is damaged`, { exitCode: 2, why, hint: `restore it from a copy; or ${startOver}` });
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw damaged((error as Error).message);
  }
  const parsed = storedSchema.safeParse(raw);
  if (!parsed.success) {
    const version = (raw as { version?: unknown } | null)?.version;
    if (Number(version) > VERSION) {
      throw new CdcError(`${what} was written by a later version of cdc`, {
        exitCode: 2,
        why: `its format is ${version}, and this cdc supports up to ${VERSION}`,
        hint: 'start that version of cdc again',
      });
    }
    const [first] = parsed.error.issues;
    throw damaged(`${first?.path.join('.') || 'the file'}: ${first?.message}`);
  }
  const { checksum, ...content } = parsed.data;
  if (checksum !== checksumOf(content)) throw damaged('its checksum does not match its content');
  return parsed.data;
}
