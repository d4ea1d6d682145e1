import type { JSX } from 'preact';
import type { CapturedTableStatus } from '../admin/daemon-status.ts';
import { counted, exactCount } from './format.ts';
import { Bytes, Count } from './quantity.tsx';
import { RelativeTime } from './relative-time.tsx';
import { sumOfEvents } from './table-order.ts';

/** A captured table: whether the lake holds it whole, and what flows of it. */
export function TableRow({ row, now }: { row: CapturedTableStatus; now: number }): JSX.Element {
  return (
    <tr>
      <th scope="row" class="name">
        <bdi>
          <span class="schema">{row.schema}.</span>
          {row.table}
        </bdi>
      </th>
      <td class="coverage">
        <Coverage row={row} now={now} />
      </td>
      <td class="number events">
        <Count value={sumOfEvents(row)} />
        <EventsByOp row={row} />
      </td>
      <td class="number bytes">
        <Bytes value={row.bytes} />
      </td>
      <td class="number change">
        {row.lastChangeAt === null ? (
          <span class="more">none since the start</span>
        ) : (
          <RelativeTime at={row.lastChangeAt} now={now} />
        )}
      </td>
    </tr>
  );
}

const COMPLETE_WHY: Record<string, string> = {
  created: 'followed since its CREATE',
  emptied: 'followed since it was empty',
  backfilled: 'backfilled',
};

function Coverage({ row, now }: { row: CapturedTableStatus; now: number }): JSX.Element {
  const { coverage, verified } = row;
  const why = coverage.complete ? (COMPLETE_WHY[coverage.why] ?? coverage.why) : coverage.why;
  return (
    <>
      <span class={`mark ${coverage.complete ? 'good' : 'warn'}`}>
        <span aria-hidden="true">{coverage.complete ? '●' : '◐'}</span> {coverage.complete ? 'complete' : 'incomplete'}
      </span>{' '}
      <span class="more">
        {why}
        {coverage.since !== null && (
          <>
            , <RelativeTime at={coverage.since} now={now} />
          </>
        )}
        {verified !== null && (
          <>
            ; {verified.scope === 'whole' ? 'verified' : 'verified in part'} <RelativeTime at={verified.at} now={now} />
            {', '}
            {differences(verified)}
          </>
        )}
      </span>
    </>
  );
}

function differences({ missing, extra, different }: NonNullable<CapturedTableStatus['verified']>): string {
  const sum = missing + extra + different;
  return sum === 0 ? 'equal' : `${counted(sum, 'row')} differ`;
}

const OPS = [
  ['c', 'inserts'],
  ['u', 'updates'],
  ['d', 'deletes'],
  ['r', 'backfilled rows'],
  ['t', 'truncates'],
] as const;

/** Such as `c 12, u 3`. The letters are the `op` of the events. */
function EventsByOp({ row: { events } }: { row: CapturedTableStatus }): JSX.Element | null {
  const present = OPS.filter(([op]) => events[op] > 0);
  if (present.length === 0) return null;
  return (
    <span class="ops">
      {present.map(([op, words]) => (
        <span key={op} title={`${exactCount(events[op])} ${words}`}>
          <abbr title={words}>{op}</abbr> <Count value={events[op]} />{' '}
        </span>
      ))}
    </span>
  );
}
