import { resolve } from 'node:path';
import type { Connection } from 'mysql2/promise';
import type { Config } from '../../config/schema.ts';
import { configPerHost, sourceConnection } from '../../config/source-connection.ts';
import type { LakeStore } from '../../lake/object-store.ts';
import { openConfiguredLake } from '../../lake/open-lake.ts';
import { abortable } from '../../runtime/abort.ts';
import { CdcError } from '../../runtime/error.ts';
import { connectionError } from '../../source/server/connection-error.ts';
import { connect } from '../../source/server/server-info.ts';
import type { Delivered } from '../dialect.ts';
import { redshift } from '../dialects/redshift.ts';
import { STATE_SCHEMA } from '../names.ts';
import { assertNoneLeftOut, type LandedTables, readLandedTables } from '../tables/read-landed-tables.ts';
import { type DefinedTables, defineTables } from './define-tables.ts';
import { assertHasLanding, mergeLanding } from './landing-merge.ts';
import { type MergeProgress, type MergeResult, MergeRun } from './merge-run.ts';
import type { MergeTarget } from './merge-target.ts';

/** A server of many tables takes some time to list them. */
const LIST_TIMEOUT_MS = 120_000;

export interface MergeOptions {
  config: Config;
  /** Names or patterns; every captured table if there is none. */
  wanted: readonly string[];
  /** As `parseTarget` has read it. */
  into: TargetLocation;
  /** Where the events are: in the objects of the lake, or in the landing table that Firehose fills in the target. */
  from: 'lake' | 'landing';
  /** A transaction has about so many bytes of events of the lake. */
  batchBytes: number;
  signal: AbortSignal;
  onProgress?: (progress: MergeProgress) => void;
}

export type TargetLocation = { kind: 'duckdb'; path: string } | { kind: 'postgres' | 'redshift'; url: string };

/** @throws CdcError with exit code 2 that names the forms; it has no part of a URL, which can hold a password */
export function parseTarget(text: string): TargetLocation {
  const [, file] = /^duckdb:(.+)$/s.exec(text) ?? [];
  if (file !== undefined) return { kind: 'duckdb', path: resolve(file) };
  const [, scheme] = /^(postgres|postgresql|redshift):\/\//.exec(text) ?? [];
  if (scheme !== undefined && URL.canParse(text)) {
    return { kind: scheme === 'redshift' ? 'redshift' : 'postgres', url: text };
  }
  throw new CdcError('--into names no target', {
    exitCode: 2,
    why: 'it is neither a file of DuckDB nor the URL of a server',
    hint: 'write duckdb:warehouse.duckdb, postgres://user@host:5432/database or redshift://user@host:5439/database',
  });
}

/** What a merge did. */
export type Merged = MergeResult & Pick<LandedTables, 'leftOut'> & Pick<DefinedTables, 'stopped'>;

/**
 * Merges what has landed into the target, once.
 * @throws CdcError that says what is missing or wrong
 */
export async function mergeOnce(options: MergeOptions): Promise<Merged> {
  const { config, wanted, from, signal } = options;
  const format = assertFormat(config);
  const store = from === 'lake' ? await openConfiguredLake(config) : undefined;
  try {
    const landed = await readTables(config, wanted, signal);
    if (landed.tables.length === 0) assertNoneLeftOut(landed);
    const target = await openTarget(options.into, landed);
    try {
      const { tables, leftOut } = landed;
      const delivered = {
        pipeline: config.name,
        format,
        flatPrefix: config.flat_prefix,
        lake: store?.location ?? '',
        tables,
      };
      const result = store
        ? await mergeLake(options, target, store, delivered)
        : await mergeQueue(options, target, delivered);
      return { ...result, leftOut };
    } finally {
      await target.close();
    }
  } finally {
    store?.close();
  }
}

async function mergeQueue(
  { config, signal }: MergeOptions,
  target: MergeTarget,
  delivered: Delivered,
): Promise<Omit<Merged, 'leftOut'>> {
  assertHasLanding(target);
  await target.prepare();
  const { names, stopped } = await defineTables(target, delivered, config.values);
  return { ...(await mergeLanding(target, delivered, names, config, signal)), stopped };
}

async function mergeLake(
  { config, batchBytes, signal, onProgress }: MergeOptions,
  target: MergeTarget,
  store: LakeStore,
  delivered: Delivered,
): Promise<Omit<Merged, 'leftOut'>> {
  await target.prepare();
  const { names: tables, stopped } = await defineTables(target, delivered, config.values);
  const result = await MergeRun.run({
    ...{ store, target, tables, batchBytes, signal },
    config: { ...config, format: delivered.format },
    ...(onProgress && { onProgress }),
  });
  return { ...result, stopped };
}

/** @throws CdcError with exit code 2 for a format whose events no merge reads */
export function assertFormat({ format }: Config): 'debezium' | 'flat' {
  if (format !== 'maxwell') return format;
  throw new CdcError('events of format maxwell cannot be merged', {
    exitCode: 2,
    why: 'their values have the conventions of Maxwell, which lose types',
    hint: 'use format debezium or flat for a warehouse',
  });
}

/** The tables of the source as they are now, from the first host that answers. */
export async function readTables(
  config: Config,
  wanted: readonly string[],
  signal: AbortSignal,
): Promise<LandedTables> {
  let failure: unknown;
  for (const host of configPerHost(config)) {
    const options = sourceConnection(host.source);
    let connection: Connection | undefined;
    try {
      connection = await abortable(connect(options, LIST_TIMEOUT_MS), signal);
      return await abortable(readLandedTables(connection, host, wanted), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CdcError && error.kind !== 'retry') throw error;
      failure ??= error instanceof CdcError ? error : connectionError(error, options);
    } finally {
      connection?.destroy();
    }
  }
  throw failure;
}

async function openTarget(into: TargetLocation, { tables }: LandedTables): Promise<MergeTarget> {
  if (into.kind !== 'duckdb') {
    const { PostgresTarget } = await import('./postgres-target.ts');
    return into.kind === 'redshift' ? PostgresTarget.open(into.url, redshift) : PostgresTarget.open(into.url);
  }
  const { DuckdbTarget } = await import('./duckdb-target.ts');
  const target = await DuckdbTarget.open(into.path);
  const catalog = target.catalog.toLowerCase();
  const ambiguous = [STATE_SCHEMA, ...tables.map(({ schema }) => schema)].find((one) => one.toLowerCase() === catalog);
  if (ambiguous === undefined) return target;
  await target.close();
  throw new CdcError(`the file of DuckDB has the name of the schema ${ambiguous}`, {
    exitCode: 2,
    why: `DuckDB names a database after its file, so the tables of ${ambiguous} would be ambiguous`,
    hint: 'give the file another name, such as warehouse.duckdb',
  });
}
