import type { JSX } from 'preact';
import { useModal } from './modal.ts';

/** Asks before something that cannot be taken back. */
export function ConfirmDialog(props: {
  question: string;
  consequence: string;
  /** The words on the button that does it. */
  confirm: string;
  onConfirm: () => void;
  onClose: () => void;
}): JSX.Element {
  const { question, consequence, confirm, onConfirm, onClose } = props;
  const dialog = useModal();
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="confirm-title">
      <h2 id="confirm-title">
        <bdi>{question}</bdi>
      </h2>
      <p>{consequence}</p>
      <div class="controls">
        <button type="button" onClick={() => dialog.current?.close()}>
          Keep it
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => {
            dialog.current?.close();
            onConfirm();
          }}
        >
          {confirm}
        </button>
      </div>
    </dialog>
  );
}
