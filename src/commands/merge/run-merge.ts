import { sleepUnlessAborted } from '../../runtime/abort.ts';
import { asCdcError, formatError } from '../../runtime/error.ts';
import { type Merged, type MergeOptions, mergeOnce } from '../../warehouse/merge/open-merge.ts';
import { plural } from '../backfill/text.ts';
import { openProgress } from '../verify/progress.ts';

/**
 * Merges once, or again and again. With `everyMs` an error is reported, and the next merge comes.
 * @returns the exit code
 */
export async function runMerge(options: MergeOptions, everyMs: number | undefined, json: boolean): Promise<number> {
  const { signal } = options;
  for (;;) {
    try {
      const merged = await oneMerge(options, json);
      if (everyMs === undefined) return merged.damage.length + merged.stopped.length > 0 ? 1 : 0;
    } catch (error) {
      // What a shell reports of a process that a signal ended.
      if (signal.aborted) return everyMs !== undefined ? 0 : signal.reason === 'SIGTERM' ? 143 : 130;
      if (everyMs === undefined || asCdcError(error).exitCode === 2) throw error;
      process.stderr.write(`${formatError(error)}\n`);
    }
    await sleepUnlessAborted(everyMs, signal).catch(() => {});
    if (signal.aborted) return 0;
  }
}

async function oneMerge(options: MergeOptions, json: boolean): Promise<Merged> {
  const startedAt = performance.now();
  const progress = await openProgress(json);
  let merged: Merged;
  try {
    merged = await mergeOnce({ ...options, onProgress: (done) => progress.show({ phase: 'lake', ...done }) });
  } finally {
    progress.close();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  for (const line of warnings(merged)) process.stderr.write(`${line}\n`);
  process.stdout.write(json ? `${JSON.stringify({ ...merged, seconds })}\n` : textReport(merged, seconds));
  return merged;
}

function warnings({ damage, leftOut, stopped }: Merged): string[] {
  return [
    ...leftOut.map(({ name, why, hint }) => `${name} is left out: ${why}\n  ${hint}`),
    ...stopped.map(({ name, why, hint }) => `${name} is not merged: ${why}\n  ${hint}`),
    ...damage.map(
      ({ object, line, lines, why }) =>
        `${object}, line ${line}${lines > 1 ? ` and ${plural(lines - 1, 'line')} more` : ''}: ${why}`,
    ),
  ];
}

function textReport({ tables, objects, damage }: Merged, seconds: number): string {
  const width = Math.max(0, ...tables.map(({ name }) => name.length));
  const lines = tables.map(({ name, events }) => `${name.padEnd(width)}  ${plural(events, 'event')} merged`);
  const objectsText = `${plural(objects, 'object')} in ${seconds.toFixed(1)} s`;
  const damaged =
    damage.length === 0 ? '' : `, ${plural(new Set(damage.map(({ object }) => object)).size, 'damaged one')}`;
  return `${[...lines, `${objectsText}${damaged}`].join('\n')}\n`;
}
