import type { JSX } from 'preact';
import type { LoggedWarning } from '../admin/daemon-status.ts';
import { Explanation } from './explanation.tsx';
import { exactCount } from './format.ts';
import { RelativeTime } from './relative-time.tsx';
import { Section } from './section.tsx';

/** The last warnings and errors of the log. */
export function WarningPanel({ warnings, now }: { warnings: readonly LoggedWarning[]; now: number }): JSX.Element {
  return (
    <Section id="warnings" title="Last warnings">
      {warnings.length === 0 && <p class="empty">The log has no warning since the start.</p>}
      <ul class="entries">
        {warnings.map((warning) => (
          <li key={`${warning.at} ${warning.message}`} data-level={warning.level}>
            <p class="more">
              <span class={`badge ${warning.level === 'warn' ? 'warn' : 'bad'}`}>
                {warning.level === 'warn' ? 'warning' : warning.level}
              </span>{' '}
              <RelativeTime at={warning.at} now={now} />
              {warning.times > 1 && `, ${exactCount(warning.times)} times`}
            </p>
            <Explanation what={warning.message} why={warning.why} hint={warning.hint} />
          </li>
        ))}
      </ul>
    </Section>
  );
}
