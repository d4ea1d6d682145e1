import { setTimeout as sleep } from 'node:timers/promises';
import type { DaemonStatus } from '../../admin/daemon-status.ts';
import { asCdcError, type CdcError, formatError } from '../../runtime/error.ts';
import { printable, printableLine } from '../../runtime/printable.ts';
import { DEFAULT_ROWS } from './layout.ts';
import { openOutput, styleOf } from './print-status.ts';
import { type Rates, ratesBetween } from './rates.ts';
import type { PipelineStatusReader } from './status-reader.ts';
import { statusLine, statusText } from './status-text.ts';

const WATCH_INTERVAL_MS = 2_000;

/** Where the answers of `--watch` go. */
export interface StatusDisplay {
  /** Nobody reads it any more. */
  readonly isClosed: boolean;
  show(status: DaemonStatus, rates: Rates | undefined): Promise<void> | void;
  /** No status could be read this time. */
  fail(error: CdcError): void;
  close(): void;
}

/**
 * Shows the status again and again, until `signal` aborts or nobody reads it any more.
 * @throws CdcError if the status cannot be given, and that does not clear by itself
 */
export async function watchStatus(
  reader: Pick<PipelineStatusReader, 'read'>,
  display: StatusDisplay,
  signal: AbortSignal,
  intervalMs = WATCH_INTERVAL_MS,
): Promise<void> {
  let before: DaemonStatus | undefined;
  try {
    while (!signal.aborted && !display.isClosed) {
      try {
        const status = await reader.read();
        await display.show(status, ratesBetween(before, status));
        before = status;
      } catch (thrown) {
        if (signal.aborted) break;
        const error = asCdcError(thrown);
        if (error.kind !== 'retry') throw error;
        display.fail(error);
      }
      await sleep(intervalMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    display.close();
  }
}

/** A terminal gets a page that is drawn again; everything else a line each time. */
export async function openDisplay(json: boolean): Promise<StatusDisplay> {
  const { stdout } = process;
  return !json && stdout.isTTY && process.env.TERM !== 'dumb' ? pageDisplay(stdout) : lineDisplay(json);
}

function lineDisplay(json: boolean): StatusDisplay {
  const output = openOutput();
  return {
    get isClosed() {
      return output.isClosed;
    },
    show: (status, rates) => output.write(`${json ? JSON.stringify(status) : printable(statusLine(status, rates))}\n`),
    fail: (error) =>
      void process.stderr.write(`${printableLine([error.message, error.why].filter(Boolean).join(': '))}\n`),
    close() {},
  };
}

async function pageDisplay(stream: NodeJS.WriteStream): Promise<StatusDisplay> {
  const { createLogUpdate } = await import('log-update');
  const draw = createLogUpdate(stream);
  let page: () => string[] = () => [];
  const redraw = (): void => draw(clip(page(), (stream.rows || DEFAULT_ROWS) - 1).join('\n'));
  stream.on('resize', redraw);
  return {
    isClosed: false,
    show(status, rates) {
      page = () => statusText(status, styleOf(stream), rates);
      redraw();
    },
    fail(error) {
      page = () => [...formatError(error).split('\n').map(printable), '', 'asked again every 2 s; Ctrl-C ends this'];
      redraw();
    },
    close() {
      stream.removeListener('resize', redraw);
      draw.done();
    },
  };
}

/** What stands first matters most, so the end is left out. */
const clip = (lines: readonly string[], rows: number): readonly string[] =>
  lines.length <= rows ? lines : [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines: cdc status`];
