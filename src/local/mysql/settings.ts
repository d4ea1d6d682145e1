import { join } from 'node:path';
import type { Installation, ServerKind } from './layout.ts';

/** The paths of a server's files. All of them are in one folder. */
export interface ServerPaths {
  data: string;
  temporary: string;
  errorLog: string;
  pidFile: string;
}

export function serverPaths(directory: string): ServerPaths {
  return {
    data: join(directory, 'data'),
    temporary: join(directory, 'tmp'),
    errorLog: join(directory, 'error.log'),
    pidFile: join(directory, 'mysqld.pid'),
  };
}

/** The arguments of every start of the program, including the start that initializes the data directory. */
export function mysqldArguments(installation: Installation, data: string, temporary: string): string[] {
  return [
    ...installation.command.slice(1),
    '--no-defaults',
    ...installation.settings,
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--datadir=${data}`,
    `--tmpdir=${temporary}`,
    '--innodb-buffer-pool-size=64M',
    // Kernels limit native asynchronous I/O for all servers of a machine together, and containers can forbid it.
    '--innodb-use-native-aio=0',
    ...(installation.flavor === 'mysql' ? ['--loose-mysqlx=OFF', '--loose-innodb-redo-log-capacity=64M'] : []),
  ];
}

const flavorSettings: Record<ServerKind, string[]> = {
  mysql: ['--gtid-mode=ON', '--enforce-gtid-consistency=ON'],
  mariadb: ['--binlog-format=ROW', '--character-set-server=utf8mb4'],
  // On 5.6 GTIDs require log-slave-updates.
  'mysql-5.6': [
    '--binlog-format=ROW',
    '--character-set-server=utf8mb4',
    '--gtid-mode=ON',
    '--enforce-gtid-consistency=ON',
    '--log-slave-updates',
  ],
};

/**
 * The settings of a small, fast server that cdc can follow. Nothing is flushed to disk, so a power failure can lose
 * data, but a kill of the process cannot. The caller's settings come last and override the others.
 */
export function serverSettings(
  flavor: ServerKind,
  paths: ServerPaths,
  port: number,
  settings: readonly string[],
): string[] {
  return [
    `--log-error=${paths.errorLog}`,
    `--pid-file=${paths.pidFile}`,
    // The path is relative to the data directory, because a socket's path is limited to about 100 characters.
    '--socket=mysqld.sock',
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    `--server-id=${port}`,
    '--log-bin=binlog',
    '--binlog-row-image=FULL',
    ...(flavor === 'mysql-5.6' ? [] : ['--binlog-row-metadata=FULL']),
    '--sync-binlog=0',
    '--innodb-flush-log-at-trx-commit=2',
    '--innodb-flush-method=nosync',
    '--secure-file-priv=',
    ...flavorSettings[flavor],
    ...settings,
  ];
}
