import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { useModal } from './modal.ts';

/** Asks for `admin.token`. */
export function TokenDialog(props: {
  /** The last one was wrong. */
  isRefused: boolean;
  onToken: (token: string) => void;
  onClose: () => void;
}): JSX.Element {
  const { isRefused, onToken, onClose } = props;
  const dialog = useModal();
  const [token, setToken] = useState('');
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="token-title">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (token !== '') onToken(token);
        }}
      >
        <h2 id="token-title">The daemon asks for its token</h2>
        <p id="token-help">
          It is <code>admin.token</code> in the configuration. This tab keeps it until it is closed.
        </p>
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            autocomplete="off"
            aria-describedby={isRefused ? 'token-refused' : 'token-help'}
            aria-invalid={isRefused}
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        {isRefused && (
          <p class="refused" id="token-refused" role="alert">
            The daemon does not take this token. Look at admin.token in its configuration.
          </p>
        )}
        <div class="controls">
          <button type="button" onClick={() => dialog.current?.close()}>
            Leave it
          </button>
          <button type="submit" class="primary">
            Use the token
          </button>
        </div>
      </form>
    </dialog>
  );
}
