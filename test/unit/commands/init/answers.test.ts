import { expect, test } from 'vitest';
import {
  assertFlags,
  defaultName,
  problemWith,
  splitPassword,
  splitPatterns,
} from '../../../../src/commands/init/answers.ts';
import { accountSql } from '../../../../src/commands/init/try-source.ts';
import { readPage } from '../../../docs-code.ts';

test('without a terminal every missing flag is named', () => {
  expect(() => assertFlags({ output: 'cdc.yaml' }, ['url', 'stream'])).toThrow('cdc init needs --url and --stream');
  expect(() => assertFlags({ output: 'cdc.yaml', url: 'mysql://u@h' }, ['url', 'stream'])).toThrow(/needs --stream$/);
});

test('every wrong flag is named at once, and none shows its value', () => {
  const flags = { output: 'x', url: 'mysql://u:secret@h/db', stream: 'a b', tables: ['shop'], region: 'EU!' };
  try {
    assertFlags(flags, []);
    expect.unreachable();
  } catch (error) {
    const { message, why, exitCode } = error as { message: string; why: string; exitCode: number };
    expect(exitCode).toBe(2);
    expect(message).toMatch(/^4 flags/);
    expect(why).toMatch(/--url .*path[\s\S]*--stream must be/);
    expect(why).not.toContain('secret');
  }
});

test.each([
  ['mysql://cdc:s%3Acret@db1:3306,db2/', 'mysql://cdc@db1:3306,db2/', 's:cret'],
  ['mysql://cdc@db1', 'mysql://cdc@db1', undefined],
  ['mysql://c%3Ad:x@[::1]:3306', 'mysql://c%3Ad@[::1]:3306', 'x'],
  ['mysql://cdc:@db1', 'mysql://cdc@db1', undefined],
])('the password leaves the URL %s', (typed, url, password) => {
  expect(splitPassword(typed, undefined)).toEqual({ url, password });
});

test('a password in the URL that is not the one of the environment is refused, because the file would have the other', () => {
  expect(() => splitPassword('mysql://cdc:a@h', 'b')).toThrow(/is not the one in CDC_MYSQL_PASSWORD/);
  expect(splitPassword('mysql://cdc:a@h', 'a').password).toBe('a');
  expect(splitPassword('mysql://cdc@h', 'b').password).toBe('b');
});

test('patterns are split at commas, but not within backticks', () => {
  expect(splitPatterns('shop.*, !shop.log,`a,b`.c ,')).toEqual(['shop.*', '!shop.log', '`a,b`.c']);
  expect(problemWith('tables', splitPatterns(''))).toMatch(/empty/);
});

test('the name is that of the only database', () => {
  expect(defaultName(['shop.*', '!shop.log'])).toBe('shop');
  expect(defaultName(['shop.*', 'blog.*'])).toBe('cdc');
  expect(defaultName(['*.*'])).toBe('cdc');
});

test('docs/INSTALL.md has the statements that init prints and that the check asks for', () => {
  const page = readPage('docs/INSTALL.md');
  const url = 'mysql://cdc@db.example.com:3306';
  const known = { versionText: '', host: '', account: "'cdc'@'%'", databases: [] };
  const mysql = accountSql(url, ['shop.*'], { ...known, flavor: 'mysql', version: [8, 4, 0] }).split('\n');
  const [, create = '', ...grants] = mysql;
  expect(page).toContain([create.replace('-- ', ''), ...grants].join('\n').replaceAll('`', ''));
  const [, , onMariadb = ''] = accountSql(url, ['shop.*'], { ...known, flavor: 'mariadb', version: [10, 11, 0] }).split(
    '\n',
  );
  expect(page).toContain(`\`${onMariadb}\``);
});

test('a server that was not reached gets the statements of both products, for the account of the URL', () => {
  const sql = accountSql("mysql://o'neil@h", ['shop.*', '!shop.log', 'shop.x*', 'blog.a'], undefined);
  expect(sql.split('\n').slice(1)).toEqual([
    "CREATE USER 'o''neil'@'%' IDENTIFIED BY 'choose-one';",
    "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'o''neil'@'%';",
    "-- on MariaDB instead: GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'o''neil'@'%';",
    "GRANT SELECT ON `shop`.* TO 'o''neil'@'%';",
    "GRANT SELECT ON `blog`.`a` TO 'o''neil'@'%';",
  ]);
});
