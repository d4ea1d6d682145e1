import { withCheckpointStore } from '../checkpoint/open-checkpoint-store.ts';
import type { Config } from '../config/schema.ts';
import { error, type Finding, transientError } from '../model/finding.ts';
import { asCdcError } from '../runtime/error.ts';
import { checkCheckpointFile } from './local-files.ts';

/** Whether the checkpoint can be written, or, where it is on a server, read: only `cdc run` makes what is missing. */
export async function checkCheckpoint(config: Config): Promise<Finding[]> {
  const { file } = config.checkpoint;
  if (file !== undefined) return checkCheckpointFile(file);
  try {
    await withCheckpointStore(config, (store) => store.read());
    return [];
  } catch (cause) {
    const { message, why = '', hint = '', kind, exitCode } = asCdcError(cause);
    // The start position reports a checkpoint that is damaged, or of another pipeline.
    if (exitCode === 2) return [];
    return [(kind === 'retry' ? transientError : error)(message, why, hint)];
  }
}
