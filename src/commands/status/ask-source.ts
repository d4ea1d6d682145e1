import type { Config } from '../../config/schema.ts';
import { configPerHost, sourceConnection } from '../../config/source-connection.ts';
import { parseSourceUrl } from '../../config/url.ts';
import { compileTableFilter, type TableFilter } from '../../model/table-filter.ts';
import { abortable } from '../../runtime/abort.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import { CapturedTables, type TableId } from '../../source/captured-tables.ts';
import { readRetention } from '../../source/server/binlog-retention.ts';
import { queryOn } from '../../source/server/query.ts';
import { connect, readServerInfo, type ServerInfo } from '../../source/server/server-info.ts';

/** A status is wanted at once. */
const SOURCE_TIMEOUT_MS = 3_000;

/** What the first host that answers says, or why none does. */
export type SourceAnswer =
  | {
      host: string;
      server: ServerInfo;
      /** How long the server keeps a binlog file; null if without end. */
      retentionSeconds: number | null;
      tables: TableId[];
      isCaptured: TableFilter;
    }
  | { failure: CdcError };

/** Asks the hosts of `source.url` at once, and takes the first answer in their order. Never rejects. */
export async function askSource(config: Config): Promise<SourceAnswer> {
  const tooLate = AbortSignal.timeout(SOURCE_TIMEOUT_MS);
  const answers = configPerHost(config).map((host) =>
    abortable(askHost(host), tooLate).catch((error: unknown): SourceAnswer => {
      const late = new CdcError(`MySQL does not answer within ${SOURCE_TIMEOUT_MS / 1000} s`, { kind: 'retry' });
      return { failure: tooLate.aborted ? late : asCdcError(error) };
    }),
  );
  let first: SourceAnswer | undefined;
  for (const pending of answers) {
    const answer = await pending;
    if (!('failure' in answer)) return answer;
    first ??= answer;
  }
  return first ?? { failure: new CdcError('source.url names no host') };
}

async function askHost(config: Config): Promise<SourceAnswer> {
  const { host, port } = parseSourceUrl(config.source.url);
  const server = await readServerInfo(sourceConnection(config.source));
  const retentionSeconds = await retentionOf(config);
  const isCaptured = compileTableFilter(config.tables, server);
  const tables = await new CapturedTables(() => sourceConnection(config.source), isCaptured).list();
  return { host: `${host}:${port}`, server, retentionSeconds, tables, isCaptured };
}

async function retentionOf(config: Config): Promise<number | null> {
  const connection = await connect(sourceConnection(config.source));
  try {
    return (await readRetention(queryOn(connection))).retentionSeconds;
  } finally {
    connection.destroy();
  }
}
