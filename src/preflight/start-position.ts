import { CheckpointFile } from '../checkpoint/checkpoint-file.ts';
import type { Config } from '../config/schema.ts';
import { error, type Finding } from '../model/finding.ts';
import { asCdcError } from '../runtime/error.ts';
import { selectHost } from '../source/select-host.ts';

/** Whether `cdc run` could begin: the checkpoint is whole and its own, and the server can go on from there. */
export async function checkStart(config: Config, signal: AbortSignal): Promise<Finding[]> {
  try {
    const saved = await new CheckpointFile(config.checkpoint.file).load(config.name);
    await selectHost(config, saved, signal);
    return [];
  } catch (cause) {
    const { message, why = '', hint = '', exitCode } = asCdcError(cause);
    // What else is wrong with the server has been told with more care.
    return exitCode === 2 || exitCode === 4 ? [error(message, why, hint)] : [];
  }
}
