import { createConnection } from 'mysql2/promise';
import type { Config } from '../config/schema.ts';
import { configPerHost, sourceConnection } from '../config/source-connection.ts';
import { parseSourceUrl } from '../config/url.ts';
import { error, type Finding, transientError, warning } from '../model/finding.ts';
import { abortable, onAbort } from '../runtime/abort.ts';
import { CdcError } from '../runtime/error.ts';
import { openConnection } from '../secrets/open-connection.ts';
import { checkSinks, type SinkTables } from '../sinks/check-sinks.ts';
import { checkAccess } from './check-access.ts';
import { checkBackfillServer, checkReplica, checkSocket } from './check-backfill.ts';
import { checkCheckpoint } from './check-checkpoint.ts';
import { checkSettings } from './check-settings.ts';
import { checkTables } from './check-tables.ts';
import { connectionFinding } from './connection-finding.ts';
import { gatherServer } from './gather-server.ts';
import { CHECK_CONNECT_TIMEOUT_MS } from './limits.ts';
import { checkDeadLetterFolder } from './local-files.ts';

/**
 * Checks the source, the streams and the local files. Returns everything that would stop or impair `cdc run`, errors
 * first. Leaves no file behind.
 * @throws CdcError if `signal` aborts: mysql2 settles no query of a destroyed connection, so nothing else ends the wait
 */
export async function preflight(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const source = checkSource(config, signal);
  const captured = source.then(({ tables }) => tables);
  const facts = Promise.all([source, checkSinks(config, captured), checkReplica(config, signal)]);
  const [{ findings }, stream, replica] = await abortable(facts, signal).catch((error) => {
    throw signal.aborted ? new CdcError('the check was interrupted') : error;
  });
  const files = [...(await checkCheckpoint(config)), ...(await checkDeadLetterFolder(config.dead_letter.directory))];
  return [...findings, ...stream, ...replica, ...checkSocket(config), ...files].sort(
    (a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'),
  );
}

/** What a host has, and the captured tables if it answered. */
interface CheckedHost {
  findings: Finding[];
  tables: SinkTables | undefined;
}

/** Checks every host, because any of them can become the source. */
async function checkSource(config: Config, signal: AbortSignal): Promise<CheckedHost> {
  const hosts = configPerHost(config);
  const checked = await Promise.all(hosts.map((host) => checkHost(host, signal)));
  const found = checked.map(({ findings }) => findings);
  const [only] = found;
  return {
    findings: only !== undefined && hosts.length === 1 ? only : mergeHostFindings(hosts, found),
    tables: checked.find(({ tables }) => tables !== undefined)?.tables,
  };
}

/** A problem of one host is a warning while another host is usable. */
export function mergeHostFindings(hosts: readonly Config[], found: readonly Finding[][]): Finding[] {
  const errors = found.map((findings) => findings.filter(({ severity }) => severity === 'error'));
  const anyUsable = errors.some((ofHost) => ofHost.length === 0);
  const anyCanRecover = errors.some((ofHost) => ofHost.every(({ transient }) => transient));
  return found.flatMap((findings, i) => {
    const { host, port } = parseSourceUrl((hosts[i] as Config).source.url);
    return findings.map(({ severity, what, why, fix }): Finding => {
      const whatWithHost = what.includes(`${host}:${port}`) ? what : `${host}:${port}: ${what}`;
      if (severity === 'warning' || anyUsable) return warning(whatWithHost, why, fix);
      return (anyCanRecover ? transientError : error)(whatWithHost, why, fix);
    });
  });
}

async function checkHost(config: Config, signal: AbortSignal): Promise<CheckedHost> {
  try {
    const connection = await openConnection(sourceConnection(config.source), (options) =>
      createConnection({ ...options, connectTimeout: CHECK_CONNECT_TIMEOUT_MS }),
    );
    connection.on('error', () => {}); // the query in flight reports it
    const removeListener = onAbort(signal, () => connection.destroy());
    try {
      const facts = await gatherServer(connection, config);
      const findings = [
        ...checkSettings(facts, config),
        ...checkBackfillServer(facts, config),
        ...checkAccess(facts, config),
        ...checkTables(facts, config),
      ];
      const { tables, variables } = facts;
      return { findings, tables: { tables, caseSensitive: variables.lower_case_table_names === '0' } };
    } finally {
      removeListener();
      connection.destroy();
    }
  } catch (failure) {
    return { findings: [connectionFinding(failure as Error, config.source)], tables: undefined };
  }
}
