import type { DaemonStatus } from '../admin/daemon-status.ts';
import { CallFailure, fetchHistory, fetchStatus } from './daemon-client.ts';
import { EMPTY_SERIES, extendSeries, type TimeSeries } from './time-series.ts';

/** What the page knows of the daemon. The last values stay when it does not answer any more. */
export interface DaemonView {
  status: DaemonStatus | null;
  series: TimeSeries;
  /** The time by the clock of the daemon, in milliseconds since 1970. */
  now: number;
  /** When the last answer came, by the same clock; null if none came. */
  answeredAt: number | null;
  /** Why there is no new status; null if there is one. */
  failure: CallFailure | null;
}

export const NOTHING_KNOWN: DaemonView = {
  status: null,
  series: EMPTY_SERIES,
  now: Date.now(),
  answeredAt: null,
  failure: null,
};

const INTERVAL_MS = 1_500;
const HIDDEN_INTERVAL_MS = 15_000;
/** A daemon of thousands of tables has long answers. They must not keep it, or this page, busy, nor be old. */
const REST_PER_TIME_OF_ANSWER = 4;
const REST_MAX_MS = 3_000;

export interface Polling {
  /** Asks now. */
  refresh(): void;
  stop(): void;
}

/** Asks the daemon again and again, one request at a time, and reports what changed. */
export function startPolling(report: (view: DaemonView) => void): Polling {
  let view = NOTHING_KNOWN;
  let stopped = false;
  let isAskedAgain = false;
  let wake = (): void => {};
  const refresh = (): void => {
    isAskedAgain = true;
    wake();
  };
  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const run = async (): Promise<void> => {
    while (!stopped) {
      isAskedAgain = false;
      const start = performance.now();
      view = await nextView(view);
      if (stopped) return;
      report(view);
      const busy = (performance.now() - start) * REST_PER_TIME_OF_ANSWER;
      const answered = view.failure === null ? Math.min(Math.max(INTERVAL_MS, busy), REST_MAX_MS) : INTERVAL_MS;
      if (!isAskedAgain) await rest(document.hidden ? Math.max(HIDDEN_INTERVAL_MS, answered) : answered);
    }
  };
  const onVisible = (): void => {
    if (!document.hidden) refresh();
  };
  document.addEventListener('visibilitychange', onVisible);
  void run();
  return {
    refresh,
    stop() {
      stopped = true;
      wake();
      document.removeEventListener('visibilitychange', onVisible);
    },
  };
}

async function nextView(last: DaemonView): Promise<DaemonView> {
  try {
    const status = await fetchStatus();
    const now = Date.parse(status.at);
    const series = await fetchHistory(last.series.at.at(-1)).then(
      (history) => extendSeries(last.series, history),
      // The status says more than its plots: it is shown without them.
      () => last.series,
    );
    clock = { daemon: now, own: performance.now() };
    return { status, series, now, answeredAt: now, failure: null };
  } catch (error) {
    const failure = error instanceof CallFailure ? error : new CallFailure(0, String(error));
    return { ...last, now: daemonTime(), failure };
  }
}

/** The clock of the reader can be wrong. What the daemon said last continues with the time that has passed here. */
let clock: { daemon: number; own: number } | undefined;
const daemonTime = (): number => (clock === undefined ? Date.now() : clock.daemon + (performance.now() - clock.own));
