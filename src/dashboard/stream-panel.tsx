import type { JSX } from 'preact';
import type { DeliveryStatus, StreamDelivery, StuckLane } from '../model/delivery-status.ts';
import { counted, duration, exactCount } from './format.ts';
import { Bytes, Count } from './quantity.tsx';
import { RelativeTime } from './relative-time.tsx';
import { Section } from './section.tsx';

/** The streams of Firehose, their lanes, and which lanes are stuck. */
export function StreamPanel({ delivery, now }: { delivery: DeliveryStatus | null; now: number }): JSX.Element {
  if (delivery === null) {
    return (
      <Section id="streams" title="Streams">
        <p class="empty">No pipeline runs.</p>
      </Section>
    );
  }
  const { counters, streams, pendingTransactions, backpressureSeconds } = delivery;
  return (
    <Section id="streams" title="Streams">
      <dl class="facts">
        <Fact name="Events" value={counters.events} />
        <Fact name="Bytes" bytes={counters.bytes} />
        <Fact name="Records" value={counters.records} />
        <Fact name="Requests" value={counters.requests} />
        <Fact name="Retries" value={counters.retries} />
        <Fact name="Repeats" value={counters.repeats} />
        <Fact name="Pending" value={pendingTransactions} />
        <div>
          <dt>Back-pressure</dt>
          <dd>{duration(backpressureSeconds)}</dd>
        </div>
      </dl>
      {streams.map((stream) => (
        <Stream key={stream.stream} stream={stream} now={now} />
      ))}
    </Section>
  );
}

function Fact({ name, value, bytes }: { name: string; value?: number; bytes?: number }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{bytes === undefined ? <Count value={value ?? 0} /> : <Bytes value={bytes} />}</dd>
    </div>
  );
}

function Stream({ stream, now }: { stream: StreamDelivery; now: number }): JSX.Element {
  const { lanes, outcomes, accepting, lastAcceptedAt, obstacle, stuck } = stream;
  return (
    <article class="stream" data-accepting={accepting}>
      <header>
        <h3>
          <bdi>{stream.stream}</bdi>
        </h3>
        <span class={`badge ${accepting ? 'good' : 'bad'}`}>{accepting ? 'accepting' : 'not accepting'}</span>
        <span class="more">
          {lastAcceptedAt === null ? (
            'nothing accepted yet'
          ) : (
            <>
              last accepted <RelativeTime at={lastAcceptedAt} now={now} />
            </>
          )}
          , {counted(stream.requestsInFlight, 'request')} in flight
        </span>
      </header>
      <dl class="facts">
        <Fact name="Lanes" value={lanes.total} />
        <Fact name="Lanes waiting" value={lanes.waiting} />
        <Fact name="Lanes in flight" value={lanes.inFlight} />
        <Fact name="Lanes retrying" value={lanes.retrying} />
        <Fact name="Accepted" value={outcomes.accepted} />
        <Fact name="Throttled" value={outcomes.throttled} />
        <Fact name="Unknown" value={outcomes.unknown} />
        <Fact name="Rejected" value={outcomes.rejected} />
      </dl>
      {obstacle !== null && (
        <p class="stuck">
          Events wait since <RelativeTime at={obstacle.since} now={now} />: <bdi>{obstacle.reason}</bdi>
        </p>
      )}
      {stuck.length > 0 && <StuckLanes stuck={stuck} retrying={lanes.retrying} now={now} />}
    </article>
  );
}

function StuckLanes(props: { stuck: readonly StuckLane[]; retrying: number; now: number }): JSX.Element {
  const { stuck, retrying, now } = props;
  const more = retrying - stuck.length;
  return (
    <div class="stuck">
      <h4>{counted(Math.max(retrying, stuck.length), 'lane')} stuck</h4>
      <ul>
        {stuck.map((lane) => (
          <li key={lane.lane}>
            <p>
              <strong>Lane {lane.lane}</strong>: {counted(lane.attempts, 'failed attempt')} since{' '}
              <RelativeTime at={lane.since} now={now} />. <bdi>{lane.reason}</bdi>
            </p>
            <p class="more">
              {counted(lane.events, 'event')}, <Bytes value={lane.bytes} /> wait. The oldest is of{' '}
              <bdi>{lane.oldest.table}</bdi>, seq <code>{lane.oldest.seq}</code>
            </p>
          </li>
        ))}
      </ul>
      {more > 0 && <p class="more">and {exactCount(more)} more</p>}
    </div>
  );
}
