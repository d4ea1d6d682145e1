import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { DaemonStatus } from '../admin/daemon-status.ts';
import { BackfillPanel } from './backfill-panel.tsx';
import { DaemonDetails } from './daemon-details.tsx';
import { DeadLetterPanel } from './dead-letter-panel.tsx';
import { FlowPlots } from './flow-plots.tsx';
import { HealthBanner } from './health-banner.tsx';
import { type DaemonView, NOTHING_KNOWN, type Polling, startPolling } from './polling.ts';
import { shownHealth } from './shown-health.ts';
import { StreamPanel } from './stream-panel.tsx';
import { useTabTitle } from './tab-title.ts';
import { TablePanel } from './table-panel.tsx';
import { WarningPanel } from './warning-panel.tsx';

/** The page. Everything on it comes from the last view; what a person has opened, sorted or typed stays. */
export function App(): JSX.Element {
  const [view, setView] = useState<DaemonView>(NOTHING_KNOWN);
  const polling = useRef<Polling>(undefined);
  useEffect(() => {
    polling.current = startPolling(setView);
    return () => polling.current?.stop();
  }, []);
  const { status, failure, now } = view;
  const health = shownHealth(view);
  useTabTitle(status?.name, health);
  return (
    <>
      <Masthead status={status} />
      <main class={failure === null ? '' : 'stale'}>
        <HealthBanner view={view} health={health} />
        {status !== null && (
          <>
            <FlowPlots series={view.series} />
            <BackfillPanel backfill={status.backfill} onChanged={() => polling.current?.refresh()} />
            <StreamPanel delivery={status.delivery} now={now} />
            <TablePanel tables={status.tables} now={now} />
            <div class="side-by-side">
              <DeadLetterPanel deadLetters={status.deadLetters} now={now} />
              <WarningPanel warnings={status.warnings} now={now} />
            </div>
          </>
        )}
      </main>
      {status !== null && <DaemonDetails status={status} now={now} />}
    </>
  );
}

function Masthead({ status }: { status: DaemonStatus | null }): JSX.Element {
  const server = status?.stream?.server;
  return (
    <header class="masthead">
      <h1>
        <bdi>{status?.name ?? 'cdc'}</bdi>
      </h1>
      <p class="source">
        {server === undefined ? (
          'change data capture'
        ) : (
          <>
            {server.flavor === 'mysql' ? 'MySQL' : 'MariaDB'} <bdi>{server.host}</bdi>
          </>
        )}
      </p>
    </header>
  );
}
