import { resolve } from 'node:path';
import type { Connection } from 'mysql2/promise';
import type { Config } from '../../config/schema.ts';
import { configPerHost, sourceConnection } from '../../config/source-connection.ts';
import type { LakeStore } from '../../lake/object-store.ts';
import { openLake } from '../../lake/open-lake.ts';
import { compileTableFilter } from '../../model/table-filter.ts';
import { abortable } from '../../runtime/abort.ts';
import { CdcError } from '../../runtime/error.ts';
import { connectionError } from '../../source/server/connection-error.ts';
import { connect } from '../../source/server/server-info.ts';
import { assertNoneLeftOut, type LandedTables, readLandedTables } from '../tables/read-landed-tables.ts';
import { defineTables } from './define-tables.ts';
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
  /** A transaction has about so many bytes of events. */
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

/**
 * Merges what the lake has into the target, once.
 * @throws CdcError that says what is missing or wrong
 */
export async function mergeOnce(options: MergeOptions): Promise<MergeResult & Pick<LandedTables, 'leftOut'>> {
  const { config, wanted, batchBytes, signal, onProgress } = options;
  const format = assertFormat(config);
  const store = await lakeOf(config);
  try {
    const landed = await readTables(config, wanted, signal);
    if (landed.tables.length === 0) assertNoneLeftOut(landed);
    const target = await openTarget(options.into, landed);
    try {
      await target.prepare();
      const delivered = { format, flatPrefix: config.flat_prefix, lake: store.location, tables: landed.tables };
      const tables = await defineTables(target, delivered, config.values);
      const result = await MergeRun.run({
        ...{ store, target, tables, batchBytes, signal },
        config: { ...config, format },
        isCaptured: compileTableFilter(config.tables, landed),
        ...(onProgress && { onProgress }),
      });
      return { ...result, leftOut: landed.leftOut };
    } finally {
      await target.close();
    }
  } finally {
    store.close();
  }
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

async function lakeOf({ lake, firehose }: Config): Promise<LakeStore> {
  if (lake === undefined) {
    throw new CdcError('the configuration names no lake', {
      exitCode: 2,
      why: 'cdc writes to Firehose, and does not know where the stream puts its objects',
      hint: 'add lake: s3://bucket/prefix, or a folder, to the configuration',
    });
  }
  return openLake(lake, { region: firehose.region });
}

async function openTarget(into: TargetLocation, { tables }: LandedTables): Promise<MergeTarget> {
  if (into.kind !== 'duckdb') {
    const { PostgresTarget } = await import('./postgres-target.ts');
    return PostgresTarget.open(into.url);
  }
  const { DuckdbTarget } = await import('./duckdb-target.ts');
  const target = await DuckdbTarget.open(into.path);
  const ambiguous = tables.find(({ schema }) => schema.toLowerCase() === target.catalog.toLowerCase());
  if (ambiguous === undefined) return target;
  await target.close();
  throw new CdcError(`the file of DuckDB has the name of the schema ${ambiguous.schema}`, {
    exitCode: 2,
    why: `DuckDB names a database after its file, so ${ambiguous.schema}.${ambiguous.table} would be ambiguous`,
    hint: 'give the file another name, such as warehouse.duckdb',
  });
}
