import { type Checkpoint, CheckpointFile } from '../checkpoint/checkpoint-file.ts';
import { EpochFile } from '../checkpoint/epoch-file.ts';
import type { Config } from '../config/schema.ts';
import { error, type Finding, warning } from '../model/finding.ts';
import { asCdcError } from '../runtime/error.ts';
import { selectHost } from '../source/select-host.ts';

/**
 * Whether `cdc run` could begin: the checkpoint can be read and belongs to this pipeline, and a server can continue.
 * A warning for each table that needs another copy.
 */
export async function checkStart(config: Config, signal: AbortSignal): Promise<Finding[]> {
  let incomplete: Finding[] = [];
  try {
    const saved = await new CheckpointFile(config.checkpoint.file).load(config.name);
    incomplete = saved?.incomplete.map(incompleteFinding) ?? [];
    await new EpochFile(config.checkpoint.file).load();
    await selectHost(config, saved, signal);
    return incomplete;
  } catch (cause) {
    const { message, why = '', hint = '', exitCode } = asCdcError(cause);
    // The other checks report every other problem of the server in more detail.
    return exitCode === 2 || exitCode === 4 ? [error(message, why, hint), ...incomplete] : incomplete;
  }
}

function incompleteFinding({ schema, table, since, why, file, position }: Checkpoint['incomplete'][number]): Finding {
  const subject = table === '*' ? `the tables of ${schema} are` : `${schema}.${table} is`;
  return warning(
    `${subject} incomplete in the lake since ${since}`,
    `${why} can have changed rows without row events (last at ${file}:${position})`,
    'copy the rows into the lake again',
  );
}
