import type { JSX } from 'preact';
import { fullTime, timeAgo } from './format.ts';

/** How long ago it was; its title has the whole time. */
export function RelativeTime({ at, now }: { at: string; now: number }): JSX.Element {
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={fullTime(time)}>
      {timeAgo((now - time) / 1000)}
    </time>
  );
}
