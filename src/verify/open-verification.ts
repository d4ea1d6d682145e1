import type { AdminClient } from '../admin/client.ts';
import { isLocal } from '../aws/local-endpoint.ts';
import type { BackfillStatus } from '../backfill/control.ts';
import { SnapshotConnection } from '../backfill/read/snapshot-connection.ts';
import { resolveTables } from '../backfill/request/resolve-tables.ts';
import { compileDestinations } from '../config/destinations.ts';
import type { Config } from '../config/schema.ts';
import { configPerHost, sourceConnection } from '../config/source-connection.ts';
import { openConfiguredLake } from '../lake/open-lake.ts';
import { shortList } from '../model/finding.ts';
import type { StreamStatus } from '../model/stream-status.ts';
import { compileTableFilter } from '../model/table-filter.ts';
import { abortable } from '../runtime/abort.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import { BUFFER_SECONDS_MAX, bufferSeconds } from '../sinks/firehose/buffer-interval.ts';
import { connectionError } from '../source/server/connection-error.ts';
import { connect, readServerInfo, type ServerInfo } from '../source/server/server-info.ts';
import { Follower } from './follower.ts';
import { LakeScan } from './lake/lake-scan.ts';
import { Workspace } from './lake/partitions.ts';
import { Landing, landingTimeMs } from './landing.ts';
import { type ComparedTable, SourceReader } from './source/source-reader.ts';
import { Verification } from './verification.ts';
import type { Progress, VerifyOptions } from './verify-options.ts';

export interface VerifyRequest extends VerifyOptions {
  /** Names or patterns; every captured table if there is none. */
  tables: readonly string[];
}

export interface OpenVerification {
  verification: Verification;
  scan: LakeScan;
  follower: Follower;
  /** How long an event can be in the buffer of the stream, in seconds, and whether the stream has said it. */
  buffer: { seconds: number; isKnown: boolean };
  close(): Promise<void>;
}

/** The list of many tables takes a server some time. */
const LIST_TIMEOUT_MS = 120_000;

/**
 * Makes everything ready for a verify, and compares nothing yet.
 * @param client of the running daemon
 * @throws CdcError that says what cannot be compared, and why: before anything is read
 */
export async function openVerification(
  config: Config,
  request: VerifyRequest,
  client: AdminClient,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<OpenVerification> {
  const { firehose, format, flat_prefix: flatPrefix } = config;
  const follower = new Follower(client, signal);
  const closing: (() => void | Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    const store = await openConfiguredLake(config);
    closing.push(() => store.close());
    await store.list(signal);
    const { stream, backfill } = await follower.status();
    const { host, server } = await sourceOf(config, stream, signal);
    const connection = await SnapshotConnection.open({
      connection: sourceConnection(host.source),
      server,
      isReplica: false,
      ...(config.backfill.heartbeat_table !== undefined && { heartbeatTable: config.backfill.heartbeat_table }),
      signal,
    });
    closing.push(() => connection.close());
    const reader = new SourceReader(connection, config, server.caseSensitive, signal);
    const tables = await describeTables(host, request, reader, signal);
    assertNotCopied(tables, backfill);
    // Only Firehose shows how long it keeps what it has.
    const { region, endpoint, stream: name } = firehose ?? {};
    const seconds = name === undefined ? undefined : await bufferSeconds({ region, endpoint }, name);
    const buffer = { seconds: seconds ?? BUFFER_SECONDS_MAX, isKnown: seconds !== undefined };
    const landing = new Landing(follower, stream, landingTimeMs(buffer.seconds, isLocal(endpoint)), signal);
    const workspace = await Workspace.open();
    closing.push(() => workspace.close());
    const lake = workspace.partitions('lake');
    const source = workspace.partitions('source');
    closing.push(
      () => source.close(),
      () => lake.close(),
    );
    const destinations = compileDestinations(config, server);
    const scan = new LakeScan({
      ...{ store, format, flatPrefix, records: lake, signal },
      tables,
      pipeline: config.name,
      isCaptured: compileTableFilter(config.tables, server),
      withPayload: await reader.hasPartialImages(),
      // An event can be in an object that was written later than one with a later event of its key.
      ...(request.since !== undefined && { since: request.since - landing.bufferMs }),
      onProgress: (done) => onProgress({ phase: 'lake', ...done }),
    });
    const verification = new Verification(
      {
        ...{ config, tables, reader, scan, lake, source, landing, follower, signal, onProgress },
        isElsewhere: ({ schema, table }) => destinations.indexOf(schema, table) !== 0,
        binlogEnd: async () => (await readServerInfo(sourceConnection(host.source))).end,
      },
      request,
    );
    return { verification, scan, follower, buffer, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws CdcError if tables are being copied: what they lack comes by itself */
function assertNotCopied(tables: readonly ComparedTable[], backfill: BackfillStatus | null): void {
  const open = (backfill?.tables ?? []).filter(({ state }) => state === 'queued' || state === 'reading');
  const names = tables.filter(({ schema, table }) => open.some((one) => one.schema === schema && one.table === table));
  if (names.length === 0) return;
  throw new CdcError(`the copy of ${shortList(names.map(({ name }) => name))} has not ended`, {
    why: 'its missing rows would be no difference',
    hint: 'wait until cdc backfill --status has nothing to show, or verify other tables',
  });
}

/** The host of source.url that the daemon follows. */
async function sourceOf(
  config: Config,
  { server: followed }: StreamStatus,
  signal: AbortSignal,
): Promise<{ host: Config; server: ServerInfo }> {
  const others: string[] = [];
  for (const host of configPerHost(config)) {
    try {
      const server = await abortable(readServerInfo(sourceConnection(host.source)), signal);
      if (server.identity === followed.identity) return { host, server };
      others.push(`${new URL(host.source.url).host} is ${server.identity}`);
    } catch (error) {
      signal.throwIfAborted();
      const { message, why } = asCdcError(error);
      others.push([message, why].filter(Boolean).join(': '));
    }
  }
  throw new CdcError('the daemon follows another server than those of source.url that answer', {
    why: `it follows ${followed.identity} (${followed.host}); ${others.join('; ')}`,
    hint: 'use the configuration of the daemon, and restart the daemon after a change of source.url',
  });
}

async function describeTables(
  host: Config,
  { tables, where }: VerifyRequest,
  reader: SourceReader,
  signal: AbortSignal,
): Promise<ComparedTable[]> {
  const options = sourceConnection(host.source);
  const connection = await abortable(connect(options, LIST_TIMEOUT_MS), signal);
  try {
    const wanted = { tables: [...tables], ...(where !== undefined && { where }) };
    const found = await abortable(resolveTables(connection, host, wanted), signal);
    const described: ComparedTable[] = [];
    for (const { schema, table } of found) described.push(await reader.describe(schema, table));
    return described;
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof CdcError ? error : connectionError(error, options);
  } finally {
    connection.destroy();
  }
}
