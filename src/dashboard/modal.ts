import type { RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/**
 * A dialog that is modal as long as it is on the page. The browser keeps the focus in it, and gives it back.
 *
 * The effects are those of the layout: a key that is pressed at once is meant for the dialog, and one that has left the
 * page can no longer give the focus back.
 */
export function useModal(): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return dialog;
}
