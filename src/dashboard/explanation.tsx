import type { JSX } from 'preact';

/** What, why, and what to do: the shape of every message of cdc. */
export function Explanation(props: {
  what: string;
  why?: string | null | undefined;
  hint?: string | null | undefined;
}): JSX.Element {
  const { what, why, hint } = props;
  return (
    <div class="explanation">
      <p class="what">{what}</p>
      {why && <p class="why">{why}</p>}
      {hint && (
        <p class="hint">
          <span class="hint-label">What to do: </span>
          {hint}
        </p>
      )}
    </div>
  );
}
