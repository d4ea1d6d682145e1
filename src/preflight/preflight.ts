import { createConnection } from 'mysql2/promise';
import type { Config } from '../config/schema.ts';
import { configPerHost, sourceConnection } from '../config/source-connection.ts';
import { parseSourceUrl } from '../config/url.ts';
import { error, type Finding, transientError, warning } from '../model/finding.ts';
import { CdcError } from '../runtime/error.ts';
import { checkStreams } from '../sinks/firehose/preflight.ts';
import { checkAccess } from './check-access.ts';
import { checkSettings } from './check-settings.ts';
import { checkTables } from './check-tables.ts';
import { connectionFinding } from './connection-finding.ts';
import { gatherServer } from './gather-server.ts';
import { checkCheckpointFile, checkDeadLetterFolder } from './local-files.ts';

/** Everything that stands in the way of `cdc run`, at once: source, stream and checkpoint, errors first. Writes nothing. */
export async function preflight(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const facts = Promise.all([checkSource(config, signal), checkStreams(config.firehose)]);
  const [source, stream] = await Promise.race([facts, rejectOnAbort(signal)]);
  const files = [
    ...checkCheckpointFile(config.checkpoint.file),
    ...checkDeadLetterFolder(config.dead_letter.directory),
  ];
  const problems = [...source, ...stream, ...files];
  return problems.sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
}

/** Each host is looked at, for each may have to serve; what one of them lacks stops nobody while another can. */
async function checkSource(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const hosts = configPerHost(config);
  const found = await Promise.all(hosts.map((host) => checkHost(host, signal)));
  const [only] = found;
  return only !== undefined && hosts.length === 1 ? only : mergeHostFindings(hosts, found);
}

export function mergeHostFindings(hosts: readonly Config[], found: readonly Finding[][]): Finding[] {
  const errors = found.map((problems) => problems.filter(({ severity }) => severity === 'error'));
  const serves = errors.some((of) => of.length === 0);
  const mayServe = errors.some((of) => of.every(({ transient }) => transient));
  return found.flatMap((problems, i) => {
    const { host, port } = parseSourceUrl((hosts[i] as Config).source.url);
    return problems.map(({ severity, what, why, fix }): Finding => {
      const named = what.includes(`${host}:${port}`) ? what : `${host}:${port}: ${what}`;
      if (severity === 'warning' || serves) return warning(named, why, fix);
      return (mayServe ? transientError : error)(named, why, fix);
    });
  });
}

async function checkHost(config: Config, signal: AbortSignal): Promise<Finding[]> {
  try {
    const connection = await createConnection({ ...sourceConnection(config.source), connectTimeout: 5_000 });
    connection.on('error', () => {}); // the query in flight reports it
    const end = () => connection.destroy();
    signal.addEventListener('abort', end, { once: true });
    try {
      const facts = await gatherServer(connection, config);
      return [...checkSettings(facts, config), ...checkAccess(facts, config), ...checkTables(facts, config)];
    } finally {
      signal.removeEventListener('abort', end);
      end();
    }
  } catch (failure) {
    return [connectionFinding(failure as Error, config.source)];
  }
}

/** mysql2 settles no query of a connection that was destroyed, so nothing else would end the wait. */
function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(new CdcError('the check was interrupted'));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
