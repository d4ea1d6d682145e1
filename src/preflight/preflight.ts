import { createConnection } from 'mysql2/promise';
import type { Config } from '../config/schema.ts';
import { sourceConnection } from '../config/url.ts';
import { CdcError } from '../error.ts';
import { checkCheckpointFile } from './checkpoint-file.ts';
import { connectionProblem } from './connection-problem.ts';
import { judgeAccess } from './judge-access.ts';
import { judgeSettings } from './judge-settings.ts';
import { judgeTables } from './judge-tables.ts';
import type { Problem } from './problem.ts';
import { gatherServer } from './server-facts.ts';
import { checkStream } from './stream.ts';

/** Everything that stands in the way of `cdc run`, at once: source, stream and checkpoint, errors first. Writes nothing. */
export async function preflight(config: Config, signal: AbortSignal): Promise<Problem[]> {
  const facts = Promise.all([checkSource(config, signal), checkStream(config.firehose)]);
  const [source, stream] = await Promise.race([facts, interruption(signal)]);
  const problems = [...source, ...stream, ...checkCheckpointFile(config.checkpoint.file)];
  return problems.sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
}

async function checkSource(config: Config, signal: AbortSignal): Promise<Problem[]> {
  try {
    const connection = await createConnection({ ...sourceConnection(config.source), connectTimeout: 5_000 });
    connection.on('error', () => {}); // the query in flight reports it
    const end = () => connection.destroy();
    signal.addEventListener('abort', end, { once: true });
    try {
      const facts = await gatherServer(connection, config);
      return [...judgeSettings(facts, config), ...judgeAccess(facts, config), ...judgeTables(facts, config)];
    } finally {
      signal.removeEventListener('abort', end);
      end();
    }
  } catch (failure) {
    return [connectionProblem(failure as Error, config.source)];
  }
}

/** mysql2 settles no query of a connection that was destroyed, so nothing else would end the wait. */
function interruption(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(new CdcError('the check was interrupted'));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
