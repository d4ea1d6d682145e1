import type { JSX } from 'preact';
import type { DaemonStatus, HealthProblem } from '../admin/daemon-status.ts';
import type { PurgeStatus } from '../model/purge.ts';
import { Explanation } from './explanation.tsx';
import { clockTime, duration } from './format.ts';
import type { DaemonView } from './polling.ts';
import { Bytes } from './quantity.tsx';
import { RelativeTime } from './relative-time.tsx';
import type { ShownHealth } from './shown-health.ts';

/** The five seconds: is it healthy, how far behind, how long it can stay behind, and what to do. */
export function HealthBanner({ view, health }: { view: DaemonView; health: ShownHealth | null }): JSX.Element {
  const { status, failure } = view;
  return (
    <section class="health" data-health={health?.status} aria-labelledby="health-title">
      <div class="health-state">
        <HealthIcon status={health?.status} />
        <div>
          <h2 id="health-title">Health: {health?.status ?? 'asking the daemon'}</h2>
          <p class="summary">{failure === null ? health?.summary : <NoAnswer view={view} />}</p>
        </div>
      </div>
      {/* The only live region. Its text changes with the health and not with every answer. */}
      <output class="visually-hidden">{health !== null && `Health ${health.status}. ${health.announcement}.`}</output>
      {status !== null && <KeyFigures status={status} now={view.now} />}
      {failure === null && status !== null && <Problems problems={status.health.problems} />}
    </section>
  );
}

function NoAnswer({ view }: { view: DaemonView }): JSX.Element {
  const { failure, answeredAt, now } = view;
  const what = failure?.status === 0 ? 'The daemon has not answered' : `${failure?.message}`;
  return (
    <>
      {what}
      {answeredAt !== null && (
        <>
          {' '}
          since {clockTime(answeredAt, now)} (<RelativeTime at={new Date(answeredAt).toISOString()} now={now} />)
        </>
      )}
      {failure?.why && `: ${failure.why}`}.{failure?.hint && ` What to do: ${failure.hint}.`}
      {answeredAt !== null && ' Everything below is from then.'}
    </>
  );
}

function KeyFigures({ status, now }: { status: DaemonStatus; now: number }): JSX.Element {
  const { lag, delivery, checkpoint } = status;
  return (
    <div class="figures">
      <p class="figure">
        <span class="name">Lag</span> <strong>{lag.seconds === null ? 'unknown' : duration(lag.seconds)}</strong>{' '}
        <span class="more">
          {lag.bytes === null ? '' : <Bytes value={lag.bytes} />}
          {lag.bytes === null ? '' : ' of binlog, '}limit {duration(lag.maxSeconds)}
        </span>
      </p>
      <PurgeFigure purge={status.purge} />
      <p class="figure">
        <span class="name">Buffer</span>{' '}
        <strong>{delivery === null ? 'none' : <Bytes value={delivery.bufferedBytes} />}</strong>{' '}
        <span class="more">
          {delivery !== null && (
            <>
              {delivery.backpressure ? 'full, so that reading waits; of' : 'read and not acknowledged, of'}{' '}
              <Bytes value={delivery.budgetBytes} />
            </>
          )}
        </span>
      </p>
      <p class="figure">
        <span class="name">Checkpoint</span>{' '}
        <strong>{checkpoint.savedAt === null ? 'none yet' : <RelativeTime at={checkpoint.savedAt} now={now} />}</strong>{' '}
        <span class="more">
          <bdi>{checkpoint.position === null ? '' : `${checkpoint.position.file}:${checkpoint.position.position}`}</bdi>
        </span>
      </p>
    </div>
  );
}

function PurgeFigure({ purge }: { purge: PurgeStatus }): JSX.Element {
  const left = purge.headroomSeconds === null ? 'unknown' : duration(Math.max(0, purge.headroomSeconds));
  const value = { known: left, unlimited: 'never', gone: 'gone', unknown: 'unknown' }[purge.state];
  const more = {
    known:
      purge.retentionSeconds === null
        ? 'at least'
        : `at least; the server keeps it ${duration(purge.retentionSeconds)}`,
    unlimited: 'the server deletes no binlog by itself',
    gone: 'a restart cannot continue',
    unknown: 'the server has not said it',
  }[purge.state];
  return (
    <p class="figure">
      <span class="name">Needed binlog is purged{purge.state === 'known' ? ' in' : ''}</span> <strong>{value}</strong>{' '}
      <span class="more">{more}</span>
    </p>
  );
}

const SEVERITIES = { down: 'Down', degraded: 'Degraded', notice: 'Notice' };

function Problems({ problems }: { problems: readonly HealthProblem[] }): JSX.Element | null {
  if (problems.length === 0) return null;
  return (
    <ul class="problems" aria-label="Problems">
      {problems.map((problem) => (
        <li key={`${problem.code} ${problem.what}`} data-severity={problem.severity}>
          <span class="badge">{SEVERITIES[problem.severity]}</span>
          <Explanation {...problem} />
        </li>
      ))}
    </ul>
  );
}

const SHAPES = {
  ok: (
    <>
      <circle cx="16" cy="16" r="14" />
      <path d="M9.5 16.5l4.5 4.5 8.5-9.5" />
    </>
  ),
  degraded: (
    <>
      <path class="filled" d="M16 3L30.5 29h-29z" />
      <path d="M16 12v8.5M16 24v1.5" />
    </>
  ),
  down: (
    <>
      <rect x="3" y="3" width="26" height="26" rx="5" />
      <path d="M11 11l10 10M21 11L11 21" />
    </>
  ),
};

function HealthIcon({ status }: { status: ShownHealth['status'] | undefined }): JSX.Element {
  return (
    <svg class="health-icon" viewBox="0 0 32 32" aria-hidden="true">
      {status === undefined ? <circle cx="16" cy="16" r="14" /> : SHAPES[status]}
    </svg>
  );
}
