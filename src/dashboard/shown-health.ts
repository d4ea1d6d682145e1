import type { Health } from '../admin/daemon-status.ts';
import type { DaemonView } from './polling.ts';

/** The health as the page shows it: a daemon that does not answer is down, whatever it said last. */
export interface ShownHealth {
  status: Health['status'];
  /** One sentence. */
  summary: string;
  /** The same with the worst problem, for who does not see it below. */
  announcement: string;
}

export function shownHealth({ status, failure }: DaemonView): ShownHealth | null {
  if (failure !== null) {
    const isSilent = failure.status === 0;
    const summary = isSilent ? 'The daemon does not answer' : 'The daemon answers with an error';
    return { status: 'down', summary, announcement: summary };
  }
  if (status === null) return null;
  const { health } = status;
  const worst = health.problems.find(({ severity }) => severity !== 'notice');
  const summary = {
    starting: 'The daemon is starting',
    standby: 'Standing by: another process leads',
    streaming: health.ready ? 'Following the binlog' : 'Following the binlog, and not ready',
    waiting: 'The binlog is not followed; the daemon tries again',
    stopping: 'The daemon is stopping: it delivers what it has read',
    stopped: 'No daemon runs',
  }[status.state];
  const announcement = worst === undefined ? summary : `${summary}: ${worst.what}`;
  return { status: health.status, summary, announcement };
}
