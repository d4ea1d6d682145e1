import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CdcError } from '../../runtime/error.ts';
import { type Installation, serverName } from './layout.ts';
import { mysqldArguments, type ServerPaths } from './settings.ts';
import { runProcess } from './subprocess.ts';

/**
 * Makes the system tables, with a root who needs no password from this machine, unless the data is there already.
 * The data gets its name once it is whole, so an interrupted beginning is begun anew.
 */
export async function initializeData(
  installation: Installation,
  places: ServerPaths,
  signal?: AbortSignal,
): Promise<void> {
  await rm(places.temporary, { recursive: true, force: true });
  await mkdir(places.temporary, { recursive: true });
  if (existsSync(places.data)) return;
  const fresh = `${places.data}.new`;
  await rm(fresh, { recursive: true, force: true });
  const args = [
    ...mysqldArguments(installation, fresh, places.temporary),
    // Data that is not whole yet need not survive anything.
    '--innodb-flush-method=nosync',
    '--skip-innodb-doublewrite',
  ];
  try {
    if (installation.flavor === 'mysql') await initializeMysql(installation, args, places, signal);
    else await bootstrap(installation, args, fresh, signal);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new CdcError(`${serverName[installation.flavor]} ${installation.version} could not make its data directory`, {
      why: (error as Error).message,
      hint: `see that ${places.data} can be written and that its disk has 300 MB free`,
      cause: error,
    });
  }
  await rename(fresh, places.data);
}

async function initializeMysql(
  installation: Installation,
  args: string[],
  places: ServerPaths,
  signal: AbortSignal | undefined,
): Promise<void> {
  // root@localhost is there; this one is who comes over TCP where the server does not resolve names.
  const accounts = join(places.temporary, 'accounts.sql');
  await writeFile(
    accounts,
    "CREATE USER root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\nGRANT PROXY ON ''@'' TO root@'127.0.0.1' WITH GRANT OPTION;\n",
  );
  await runProcess(installation.command[0], [...args, '--initialize-insecure', `--init-file=${accounts}`], { signal });
}

/** As MySQL did before 5.7, and MariaDB does: the server runs the SQL that makes its own tables. */
async function bootstrap(
  installation: Installation,
  args: string[],
  fresh: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(fresh, { mode: 0o700 });
  const scripts =
    installation.flavor === 'mysql-5.6'
      ? ['system_tables', 'system_tables_data']
      : ['system_tables', 'performance_tables', 'system_tables_data', 'gis', 'sys_schema'];
  const sql = await Promise.all(scripts.map((script) => systemScript(installation.share, script)));
  // The bootstrap reads a statement a line. Without a socket user root has neither password nor restriction.
  const begin = 'create database mysql;\nuse mysql;\nSET @auth_root_socket=NULL;\n';
  await runProcess(installation.command[0], [...args, '--bootstrap', '--log-warnings=0'], {
    signal,
    input: begin + sql.join('\n'),
  });
}

/** The names of MariaDB's scripts begin with mysql_ before version 11. */
async function systemScript(share: string | undefined, name: string): Promise<string> {
  const names = name === 'gis' ? ['maria_add_gis_sp_bootstrap'] : [`mariadb_${name}`, `mysql_${name}`];
  const file = names
    .map((candidate) => join(share ?? '', `${candidate}.sql`))
    .find((path) => share && existsSync(path));
  if (!file) throw new Error(`the script ${names.at(-1)}.sql that makes the system tables is not in ${share}`);
  return readFile(file, 'utf8');
}
