import type { JSX } from 'preact';
import type { TableStatus } from '../backfill/control.ts';
import { isOpen } from './backfill-order.ts';
import { Explanation } from './explanation.tsx';
import { exactCount, percent } from './format.ts';
import { Count } from './quantity.tsx';
import { tableName } from './table-order.ts';

/** How far the copy of a table is. */
export function BackfillBar({ table, onCancel }: { table: TableStatus; onCancel: () => void }): JSX.Element {
  const { state, rows, estimatedRows, fraction, error } = table;
  const name = tableName(table);
  const done = percent(fraction);
  return (
    <li class="bar-row" data-state={state}>
      <p class="bar-head">
        <bdi class="bar-name">{name}</bdi>
        <span class={`badge ${state}`}>{state}</span>
        <span class="more">
          <Count value={rows} /> of about <Count value={Math.max(rows, estimatedRows)} /> rows
        </span>
        <strong class="bar-percent">{done}</strong>
      </p>
      <div class="bar-line">
        <div
          class="bar"
          role="progressbar"
          aria-label={name}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(fraction * 100)}
          aria-valuetext={`${done}, ${exactCount(rows)} rows, ${state}`}
        >
          <div class="bar-done" style={{ width: `${fraction * 100}%` }} />
        </div>
        {isOpen(table) && (
          <button type="button" class="small" aria-label={`Cancel ${name}`} onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
      {error !== undefined && <Explanation what={error.message} why={error.why} hint={error.hint} />}
    </li>
  );
}
