import { join } from 'node:path';
import type { Installation, ServerKind } from './layout.ts';

/** Where a server keeps what is its own; everything lies in one folder. */
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

/** What every start of the program needs, that which makes the data directory too. */
export function mysqldArguments(installation: Installation, data: string, temporary: string): string[] {
  return [
    ...installation.command.slice(1),
    '--no-defaults',
    ...installation.settings,
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--datadir=${data}`,
    `--tmpdir=${temporary}`,
    '--innodb-buffer-pool-size=64M',
    // Kernels limit native asynchronous I/O over all servers of a machine, and containers may forbid it.
    '--innodb-use-native-aio=0',
    ...(installation.flavor === 'mysql' ? ['--loose-mysqlx=OFF', '--loose-innodb-redo-log-capacity=64M'] : []),
  ];
}

const flavorSettings: Record<ServerKind, string[]> = {
  mysql: ['--gtid-mode=ON', '--enforce-gtid-consistency=ON'],
  mariadb: ['--binlog-format=ROW', '--character-set-server=utf8mb4'],
  // GTIDs of 5.6 ask for log-slave-updates.
  'mysql-5.6': [
    '--binlog-format=ROW',
    '--character-set-server=utf8mb4',
    '--gtid-mode=ON',
    '--enforce-gtid-consistency=ON',
    '--log-slave-updates',
  ],
};

/**
 * What a server that cdc can follow needs, small and quick. Nothing is flushed to the disk, so a power failure may
 * lose data; a kill of the process loses none. The caller's settings come last and win.
 */
export function serverSettings(
  flavor: ServerKind,
  places: ServerPaths,
  port: number,
  settings: readonly string[],
): string[] {
  return [
    `--log-error=${places.errorLog}`,
    `--pid-file=${places.pidFile}`,
    // Relative to the data directory: the length of a socket's path is limited to about 100 characters.
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
