import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CdcError } from '../../runtime/error.ts';
import { type Installation, serverName } from './layout.ts';
import { mysqldArguments, type ServerPaths } from './settings.ts';
import { runProcess } from './subprocess.ts';

/**
 * Creates the system tables and a root account that needs no password from this machine, unless the data exists
 * already. The data gets its name when it is complete, so an interrupted initialization starts again.
 */
export async function initializeData(
  installation: Installation,
  paths: ServerPaths,
  signal?: AbortSignal,
): Promise<void> {
  await rm(paths.temporary, { recursive: true, force: true });
  await mkdir(paths.temporary, { recursive: true });
  if (existsSync(paths.data)) return;
  const fresh = `${paths.data}.new`;
  await rm(fresh, { recursive: true, force: true });
  const args = [
    ...mysqldArguments(installation, fresh, paths.temporary),
    // Incomplete data need not survive a crash.
    '--innodb-flush-method=nosync',
    '--skip-innodb-doublewrite',
  ];
  try {
    if (installation.flavor === 'mysql') await initializeMysql(installation, args, paths, signal);
    else await bootstrap(installation, args, fresh, signal);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new CdcError(`${serverName[installation.flavor]} ${installation.version} cannot create its data directory`, {
      why: (error as Error).message,
      hint: `make sure that ${paths.data} is writable and that its disk has 300 MB free`,
      cause: error,
    });
  }
  await rename(fresh, paths.data);
}

async function initializeMysql(
  installation: Installation,
  args: string[],
  paths: ServerPaths,
  signal: AbortSignal | undefined,
): Promise<void> {
  // root@localhost exists. Without name resolution on the server, a TCP client is root@127.0.0.1.
  const accounts = join(paths.temporary, 'accounts.sql');
  await writeFile(
    accounts,
    "CREATE USER root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n" +
      "GRANT PROXY ON ''@'' TO root@'127.0.0.1' WITH GRANT OPTION;\n",
  );
  await runProcess(installation.command[0], [...args, '--initialize-insecure', `--init-file=${accounts}`], { signal });
}

/** MariaDB, and MySQL before 5.7: the server runs the SQL scripts that create its system tables. */
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
  // The bootstrap reads one statement per line. Without auth_root_socket, root has no password and no restriction.
  const begin = 'create database mysql;\nuse mysql;\nSET @auth_root_socket=NULL;\n';
  await runProcess(installation.command[0], [...args, '--bootstrap', '--log-warnings=0'], {
    signal,
    input: begin + sql.join('\n'),
  });
}

/** Before version 11 the names of MariaDB's scripts begin with mysql_. */
async function systemScript(share: string | undefined, name: string): Promise<string> {
  const names = name === 'gis' ? ['maria_add_gis_sp_bootstrap'] : [`mariadb_${name}`, `mysql_${name}`];
  const file = names
    .map((candidate) => join(share ?? '', `${candidate}.sql`))
    .find((path) => share && existsSync(path));
  if (!file) throw new Error(`${share} lacks the script ${names.at(-1)}.sql, which creates the system tables`);
  return readFile(file, 'utf8');
}
