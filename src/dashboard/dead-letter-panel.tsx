import type { JSX } from 'preact';
import type { DeadLetterStatus } from '../admin/daemon-status.ts';
import { counted } from './format.ts';
import { RelativeTime } from './relative-time.tsx';
import { Section } from './section.tsx';

/** Events that no stream accepts. */
export function DeadLetterPanel({ deadLetters, now }: { deadLetters: DeadLetterStatus; now: number }): JSX.Element {
  const { files, directory, recent } = deadLetters;
  const aside = files !== null && (
    <p class="more">
      <span class={`badge ${files === 0 ? 'good' : 'bad'}`}>{files === 0 ? 'none' : counted(files, 'file')}</span>
    </p>
  );
  return (
    <Section id="dead-letters" title="Dead letters" aside={aside}>
      {files === null && <p>The directory cannot be read.</p>}
      {files === 0 && <p class="empty">Every event was accepted.</p>}
      {files !== 0 && (
        <p class="more">
          In <code>{directory}</code>. <code>cdc dead-letter list</code> shows them, and <code>retry</code> sends them
          again.
        </p>
      )}
      <ul class="entries">
        {recent.map(({ at, stream, table, seq, why }) => (
          <li key={seq}>
            <p>
              <strong>
                <bdi>{table}</bdi>
              </strong>{' '}
              to <bdi>{stream}</bdi>, <RelativeTime at={at} now={now} />
            </p>
            <p>
              <bdi>{why}</bdi>
            </p>
            <p class="more">
              seq <code>{seq}</code>
            </p>
          </li>
        ))}
      </ul>
    </Section>
  );
}
