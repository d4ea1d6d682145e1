import type { JSX } from 'preact';
import type { DaemonStatus } from '../admin/daemon-status.ts';
import { duration, exactCount } from './format.ts';
import { Bytes } from './quantity.tsx';
import { RelativeTime } from './relative-time.tsx';

/** What one looks up when something is wrong. */
export function DaemonDetails({ status, now }: { status: DaemonStatus; now: number }): JSX.Element {
  const { process, stream, checkpoint } = status;
  return (
    <footer>
      <p>
        cdc {status.version}
        {status.pid !== null && `, process ${status.pid}`}
        {status.startedAt !== null && (
          <>
            , started <RelativeTime at={status.startedAt} now={now} />
          </>
        )}
        , {exactCount(status.reconnects)} reconnects
        {process !== null && (
          <>
            , <Bytes value={process.rssBytes} /> of memory, event-loop delay{' '}
            {(process.eventLoopDelaySeconds * 1000).toFixed(0)} ms, {duration(process.cpuSeconds)} of CPU
          </>
        )}
      </p>
      <details>
        <summary>Position and checkpoint</summary>
        <dl class="facts wide">
          {stream !== null && (
            <>
              <Position name="Server" text={`${stream.server.identity} at ${stream.server.host}`} />
              <Position name="Epoch" text={String(stream.epoch)} />
              <Position name="Delivered" text={`${stream.delivered.file}:${stream.delivered.position}`} />
              <Position name="Delivered GTIDs" text={stream.delivered.gtids ?? 'the server has none'} />
            </>
          )}
          <Position name="Checkpoint" text={checkpoint.location} />
          <Position
            name="Checkpoint"
            text={
              checkpoint.position === null
                ? 'none yet'
                : `${checkpoint.position.file}:${checkpoint.position.position} ${checkpoint.position.gtids ?? ''}`
            }
          />
        </dl>
      </details>
    </footer>
  );
}

function Position({ name, text }: { name: string; text: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <code>{text}</code>
      </dd>
    </div>
  );
}
