import type { BackfillRequest, BackfillStatus } from '../../backfill/control.ts';
import { TableJob } from '../../backfill/work/table-job.ts';
import { withCheckpointStore } from '../../checkpoint/open-checkpoint-store.ts';
import type { Config } from '../../config/schema.ts';
import { runDaemon } from '../../daemon.ts';
import type { RunningPipeline } from '../../pipeline.ts';
import type { Log } from '../../runtime/log.ts';

/** How often it looks how far the backfill is. */
const STATUS_INTERVAL_MS = 250;

export interface StandaloneBackfill {
  request: BackfillRequest;
  /** Hears how far it is, until it is done. */
  onStatus: (status: BackfillStatus) => void;
}

/**
 * A backfill where no daemon runs: the whole pipeline, until every row of the request is delivered. It leaves a
 * checkpoint that `cdc run` continues from. If `signal` aborts before, the rest of the work stays in the checkpoint.
 * @returns the last status
 */
export async function runBackfill(
  config: Config,
  log: Log,
  signal: AbortSignal,
  { request, onStatus }: StandaloneBackfill,
): Promise<BackfillStatus> {
  const done = new AbortController();
  let isRequested = false;
  let failure: unknown;
  let status: BackfillStatus | undefined;
  let timer: NodeJS.Timeout | undefined;
  const watch = ({ backfill }: RunningPipeline): void => {
    clearInterval(timer);
    timer = setInterval(() => {
      status = backfill.status();
      onStatus(status);
      if (backfill.isDone) done.abort();
    }, STATUS_INTERVAL_MS);
  };
  const onRunning = (pipeline: RunningPipeline): void => {
    // A pipeline that was started again has the request in its checkpoint.
    if (isRequested) return watch(pipeline);
    pipeline.backfill.start(request).then(
      () => {
        isRequested = true;
        watch(pipeline);
      },
      (error) => {
        failure = error;
        done.abort();
      },
    );
  };
  try {
    await runDaemon(config, log, AbortSignal.any([signal, done.signal]), { onRunning });
  } finally {
    clearInterval(timer);
  }
  if (failure !== undefined) throw failure;
  return status ?? idle(config);
}

/** What the checkpoint says of a backfill, where no daemon runs. */
export async function savedBackfill(config: Config): Promise<BackfillStatus> {
  const { checkpoint: saved } = await withCheckpointStore(config, (store) => store.read());
  const tables = (saved?.backfill?.tables ?? []).map((progress) => new TableJob(progress, false).status);
  const waitingFor = tables.length === 0 ? null : 'a daemon: none runs';
  const state = tables.length === 0 ? 'idle' : saved?.backfill?.paused ? 'paused' : 'running';
  return { ...idle(config), state, waitingFor, tables };
}

const idle = ({ backfill }: Config): BackfillStatus => ({
  state: 'idle',
  waitingFor: null,
  parallel: backfill.parallel,
  rate: backfill.rate ?? null,
  tables: [],
});
