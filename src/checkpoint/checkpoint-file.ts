import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { BackfillProgress, TableProgress } from '../model/backfill-progress.ts';
import { NO_BACKFILL } from '../model/backfill-progress.ts';
import type { BinlogFingerprint } from '../model/binlog-fingerprint.ts';
import { COMPLETE_BECAUSE, type CompleteTable, type SavedCoverage } from '../model/coverage.ts';
import type { IncompleteTable } from '../model/incomplete-tables.ts';
import type { ResolvedTableSchema } from '../model/table-schema.ts';
import { VERIFY_SCOPES, type VerifiedTable } from '../model/verified-tables.ts';
import { ensureDirectory, followLinks, fsyncDirectory, writeFileAtomic } from '../runtime/durable-file.ts';
import { CdcError } from '../runtime/error.ts';
import { lockFile } from '../runtime/file-lock.ts';

/** The state between two runs: up to which position events are delivered, and on which server. */
export interface Checkpoint {
  /** The name of the pipeline that wrote it; the file of another pipeline is rejected. */
  name: string;
  server: { flavor: 'mysql' | 'mariadb'; identity: string };
  /** Grows when coordinates restart, so that `seq` keeps growing. */
  epoch: number;
  /** The delivered GTID set (on MariaDB: position); null if the server has no GTIDs. */
  gtids: string | null;
  file: string;
  position: number;
  /** Resolved columns of tables whose columns the binlog does not name, with the binlog range they are valid for. */
  tables: ResolvedTableSchema[];
  /** Tables that need another copy. */
  incomplete: IncompleteTable[];
  /** The binlog before the position; undefined if it is not known yet, or if 0.1.0 wrote the file. */
  binlog?: BinlogFingerprint | undefined;
  /**
   * Tables that the lake holds completely, what `cdc verify` has found in them, and since when the stream was followed;
   * undefined if it is not known.
   */
  coverage?: Omit<SavedCoverage, 'incomplete'>;
  /** What is left to read of a backfill; undefined if there was none yet. */
  backfill?: BackfillProgress;
}

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

const fileSchema = z.discriminatedUnion('version', [
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
type StoredCheckpoint = z.infer<typeof fileSchema>;

const checksumOf = (content: Record<string, unknown>): string =>
  createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);

/** A rename cannot replace a file that is a mount point, and a link cannot leave it. */
export const isMountError = ({ code }: NodeJS.ErrnoException): boolean => code === 'EBUSY' || code === 'EXDEV';
export const MOUNT_FOLDER_HINT =
  'mount the folder of the checkpoint instead of the file alone, because cdc replaces the file at each save';

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

/**
 * One JSON file that is written atomically: a temporary file, fsync, rename, and fsync of its folder. All of them, and
 * the lock, are where a symbolic link leads, so that two links to one file are one checkpoint.
 */
export class CheckpointFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Locks the checkpoint on this machine. Returns the release function. */
  async lock(): Promise<() => Promise<void>> {
    const target = await this.#prepare();
    const lockPath = `${target}.lock`;
    return lockFile(
      lockPath,
      (owner) =>
        new CdcError(`another cdc (process ${owner}) runs with the checkpoint ${this.path}`, {
          exitCode: 2,
          hint: `stop it, or give each pipeline its own name; if process ${owner} is not cdc, remove ${lockPath}`,
        }),
    );
  }

  /** @throws CdcError if the file is damaged or belongs to another pipeline; the file is not changed */
  async load(name: string): Promise<Checkpoint | undefined> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new CdcError(`cannot read the checkpoint ${this.path}`, { why: (error as Error).message, cause: error });
    }
    const stored = this.#parse(text);
    if (stored.name !== name) {
      throw new CdcError(`the checkpoint ${this.path} belongs to "${stored.name}", not to "${name}"`, {
        exitCode: 2,
        hint: 'give each pipeline its own checkpoint.file, or restore name',
      });
    }
    const { server, epoch, gtids, file, position, tables } = stored;
    const { incomplete, binlog } = stored.version === 1 ? { incomplete: [], binlog: null } : stored;
    return {
      ...{ name, server, epoch, gtids, file, position, tables, incomplete },
      ...(binlog && { binlog }),
      ...('coverage' in stored && { coverage: stored.coverage, backfill: stored.backfill }),
    };
  }

  async save(checkpoint: Checkpoint): Promise<void> {
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
      saved_at: new Date().toISOString(),
    };
    const text = `${JSON.stringify({ ...content, checksum: checksumOf(content) }, null, 2)}\n`;
    const target = await this.#prepare();
    try {
      // Always the same name, so that a kill leaves at most one temporary file, which the next save replaces.
      await writeFileAtomic(target, `${target}.tmp`, text);
      await fsyncDirectory(dirname(target));
    } catch (error) {
      throw this.#unwritable(error as NodeJS.ErrnoException);
    }
  }

  /** Makes the folder of the file that the path leads to. Returns its path. */
  async #prepare(): Promise<string> {
    try {
      const target = await followLinks(this.path);
      await ensureDirectory(dirname(target));
      return target;
    } catch (error) {
      throw this.#unwritable(error as NodeJS.ErrnoException);
    }
  }

  #unwritable(cause: NodeJS.ErrnoException): CdcError {
    return new CdcError(`cannot write the checkpoint ${this.path}`, {
      why: cause.message,
      hint: isMountError(cause)
        ? `${MOUNT_FOLDER_HINT}; nothing was lost`
        : 'use a folder with write permission for cdc and with free space; nothing was lost',
      cause,
    });
  }

  #parse(text: string): StoredCheckpoint {
    const damaged = (why: string): CdcError =>
      new CdcError(`the checkpoint ${this.path} is damaged`, {
        exitCode: 2,
        why,
        hint: 'restore it from a copy; or move it away (but not its .epoch file), then cdc begins at source.start',
      });
    let raw: unknown;
    try {
      raw = JSON.parse(text);
    } catch (error) {
      throw damaged((error as Error).message);
    }
    const parsed = fileSchema.safeParse(raw);
    if (!parsed.success) {
      const version = (raw as { version?: unknown } | null)?.version;
      if (Number(version) > VERSION) {
        throw new CdcError(`the checkpoint ${this.path} was written by a later version of cdc`, {
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
}
