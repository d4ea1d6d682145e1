import { CheckpointFile } from '../checkpoint/checkpoint-file.ts';
import { EpochFile } from '../checkpoint/epoch-file.ts';
import type { Config } from '../config/schema.ts';
import { error, type Finding } from '../model/finding.ts';
import { asCdcError } from '../runtime/error.ts';
import { selectHost } from '../source/select-host.ts';

/**
 * Whether `cdc run` could begin: the checkpoint can be read and belongs to this pipeline, and a server can continue.
 */
export async function checkStart(config: Config, signal: AbortSignal): Promise<Finding[]> {
  try {
    const saved = await new CheckpointFile(config.checkpoint.file).load(config.name);
    await new EpochFile(config.checkpoint.file).load();
    await selectHost(config, saved, signal);
    return [];
  } catch (cause) {
    const { message, why = '', hint = '', exitCode } = asCdcError(cause);
    // The other checks report every other problem of the server in more detail.
    return exitCode === 2 || exitCode === 4 ? [error(message, why, hint)] : [];
  }
}
