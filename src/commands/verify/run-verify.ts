import { AdminClient } from '../../admin/client.ts';
import type { Config } from '../../config/schema.ts';
import type { ReportedTable } from '../../model/verified-tables.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import { Follower } from '../../verify/follower.ts';
import { type OpenVerification, openVerification, type VerifyRequest } from '../../verify/open-verification.ts';
import { differenceCount, type TableResult } from '../../verify/table-result.ts';
import { openProgress } from './progress.ts';
import { damageLines, exitCodeOf, jsonReport, textReport } from './report.ts';
import { startPipeline } from './start-pipeline.ts';

/** @returns the exit code */
export async function runVerify(
  config: Config,
  request: VerifyRequest,
  json: boolean,
  signal: AbortSignal,
): Promise<number> {
  const client = new AdminClient(config.admin.socket);
  const startedAt = performance.now();
  const progress = await openProgress(json);
  let pipeline: Awaited<ReturnType<typeof startPipeline>> | undefined;
  let open: OpenVerification | undefined;
  try {
    if ((await client.probe()) !== 'listening') {
      if (!request.repair) throw noDaemon(config);
      pipeline = await startPipeline(config, signal, (line) => progress.note(line));
    }
    // Its pipeline can be starting again at the moment.
    await new Follower(client, signal).assertPipeline(config.name);
    open = await openVerification(config, request, client, signal, (state) => progress.show(state));
    const { verification, scan, follower, buffer } = open;
    if (!buffer.isKnown) {
      progress.note(
        config.firehose === undefined
          ? `how long an event takes to the lake is not known, so ${buffer.seconds} s are assumed`
          : `the stream ${config.firehose.stream} does not tell its buffer time, so ${buffer.seconds} s are assumed` +
              ' (allow firehose:DescribeDeliveryStream to the credentials)',
      );
    }
    const results = await verification.run();
    progress.close();
    const seconds = (performance.now() - startedAt) / 1000;
    const { damage, copies, objects, events } = scan;
    const notCompared = request.tables.length === 0 ? [...scan.others] : [];
    const scanned = { damage, copies, objects, events, notCompared };
    for (const line of damageLines(scanned)) process.stderr.write(`${line}\n`);
    process.stdout.write(json ? jsonReport(results, scanned, seconds) : textReport(results, scanned, seconds));
    await follower.verified(results.flatMap((result) => verifiedTable(result, request))).catch((error) => {
      signal.throwIfAborted();
      const { message, why = '' } = asCdcError(error);
      process.stderr.write(`the daemon did not take the result: ${message} ${why}\n`);
    });
    return exitCodeOf(results, scan);
  } catch (error) {
    if (!signal.aborted) throw error;
    // What a shell reports of a process that a signal ended.
    return signal.reason === 'SIGTERM' ? 143 : 130;
  } finally {
    progress.close();
    await open?.close();
    await pipeline?.stop();
    client.close();
  }
}

/** What the daemon is to remember of a table: nothing of one that is not decided. */
function verifiedTable(result: TableResult, { where, since, sample }: VerifyRequest): ReportedTable[] {
  const { schema, table, rows, missing, extra, different, undecided, isElsewhere, foundAt } = result;
  if (isElsewhere || (undecided > 0 && differenceCount(result) === 0)) return [];
  const isWhole = where === undefined && since === undefined && sample === undefined && undecided === 0;
  const counts = { rows, missing, extra, different };
  const at = new Date().toISOString();
  if (isWhole) return [{ schema, table, at, scope: 'whole', ...counts }];
  return [{ schema, table, at, scope: 'part', ...counts, ...(foundAt !== undefined && { repairOf: foundAt }) }];
}

const noDaemon = (config: Config): CdcError =>
  new CdcError('no daemon runs, so nothing says what the lake should have by now', {
    why: `nobody listens on the socket ${config.admin.socket}`,
    hint: 'start cdc run; only cdc verify --repair runs the pipeline by itself',
  });
