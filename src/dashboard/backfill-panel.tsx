import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { BackfillStatus } from '../backfill/control.ts';
import { BackfillBar } from './backfill-bar.tsx';
import { isOpen, lastCopies, shownCopies } from './backfill-order.ts';
import { ConfirmDialog } from './confirm-dialog.tsx';
import { type BackfillCall, CallFailure, controlBackfill, forgetToken, rememberToken } from './daemon-client.ts';
import { Explanation } from './explanation.tsx';
import { counted, exactCount } from './format.ts';
import { Section } from './section.tsx';
import { tableName } from './table-order.ts';
import { TokenDialog } from './token-dialog.tsx';

const SHOWN_BARS = 50;
/** Of tables that need nobody any more. */
const SHOWN_BARS_OVER = 5;

/** The tables that are copied, and what a person can do about it. */
export function BackfillPanel(props: { backfill: BackfillStatus | null; onChanged: () => void }): JSX.Element {
  const { backfill, onChanged } = props;
  const control = useControl(onChanged);
  const [asked, setAsked] = useState<{ tables?: string[] } | null>(null);
  const copies = backfill === null ? [] : lastCopies(backfill);
  const shown = shownCopies(copies, SHOWN_BARS, SHOWN_BARS_OVER);
  const open = copies.filter(isOpen).length;
  return (
    <Section
      id="backfill"
      title="Backfill"
      aside={
        backfill !== null && (
          <>
            <BackfillState backfill={backfill} open={open} />
            {open > 0 && (
              <div class="controls">
                <button
                  type="button"
                  aria-disabled={control.isBusy}
                  onClick={() => control.send({ act: backfill.state === 'paused' ? 'resume' : 'pause' })}
                >
                  {backfill.state === 'paused' ? 'Resume' : 'Pause'}
                </button>
                <button type="button" class="danger" onClick={() => setAsked({})}>
                  Cancel all
                </button>
              </div>
            )}
          </>
        )
      }
    >
      {control.failure !== null && <ControlFailure failure={control.failure} onClose={control.dismiss} />}
      {copies.length === 0 && <p class="empty">No table is being copied.</p>}
      <ul class="bars">
        {shown.map((table) => (
          <BackfillBar key={tableName(table)} table={table} onCancel={() => setAsked({ tables: [tableName(table)] })} />
        ))}
      </ul>
      {copies.length > shown.length && (
        <p class="more rest">and {counted(copies.length - shown.length, 'more table')}</p>
      )}
      {asked !== null && (
        <ConfirmDialog
          question={
            asked.tables === undefined
              ? `Cancel the backfill of ${counted(open, 'table')}?`
              : `Cancel the backfill of ${asked.tables[0]}?`
          }
          consequence="What was sent stays in the lake, and the copy there stays incomplete until the next backfill."
          confirm={asked.tables === undefined ? 'Cancel all of it' : 'Cancel this table'}
          onConfirm={() => control.send({ act: 'cancel', ...asked })}
          onClose={() => setAsked(null)}
        />
      )}
      {control.waiting !== null && (
        <TokenDialog isRefused={control.waiting.isRefused} onToken={control.useToken} onClose={control.giveUp} />
      )}
    </Section>
  );
}

function BackfillState({ backfill, open }: { backfill: BackfillStatus; open: number }): JSX.Element {
  const { state, parallel, rate, waitingFor } = backfill;
  return (
    <p class="more backfill-state" data-state={state}>
      <span class={`badge ${state}`}>{state}</span>
      {state !== 'idle' && (
        <>
          {' '}
          {counted(open, 'table')} left, {exactCount(parallel)} at a time
          {rate !== null && `, at most ${exactCount(rate)} rows/s`}
        </>
      )}
      {waitingFor !== null && waitingFor !== state && <strong class="waiting"> waits for {waitingFor}</strong>}
    </p>
  );
}

function ControlFailure({ failure, onClose }: { failure: CallFailure; onClose: () => void }): JSX.Element {
  return (
    <div class="failure" role="alert">
      <Explanation what={failure.message} why={failure.why} hint={failure.hint} />
      <button type="button" onClick={onClose}>
        Close
      </button>
    </div>
  );
}

/** Sends a call. Where the daemon asks for the token, the call waits for a person to give it. */
function useControl(onChanged: () => void) {
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<CallFailure | null>(null);
  const [waiting, setWaiting] = useState<{ call: BackfillCall; isRefused: boolean } | null>(null);
  const send = async (call: BackfillCall, hasNewToken = false): Promise<void> => {
    if (isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      await controlBackfill(call);
      setWaiting(null);
      onChanged();
      // Its button can be gone with the next answer, and the focus with it.
      if (call.act === 'cancel') document.getElementById('backfill-title')?.focus();
    } catch (error) {
      const failed = error instanceof CallFailure ? error : new CallFailure(0, String(error));
      if (failed.status === 401) {
        forgetToken();
        setWaiting({ call, isRefused: hasNewToken });
      } else {
        setWaiting(null);
        setFailure(failed.status === 403 ? withTokenHint(failed) : failed);
      }
    } finally {
      setBusy(false);
    }
  };
  const useToken = (token: string): void => {
    rememberToken(token);
    if (waiting !== null) void send(waiting.call, true);
  };
  return {
    ...{ isBusy, failure, waiting, send, useToken },
    dismiss: () => setFailure(null),
    giveUp: () => setWaiting(null),
  };
}

/** Without a token in the configuration nobody can change anything over HTTP. */
const withTokenHint = ({ status, message, why, hint }: CallFailure): CallFailure =>
  new CallFailure(status, message, why, hint ?? 'set admin.token in the configuration, and start the daemon again');
