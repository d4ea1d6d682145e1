import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { type Cdc, Fixture, startCdc, until } from './pipeline-fixture.ts';

describe.each([
  ['MySQL', 'mysqlUrl', 'the server is changed first'],
  ['MariaDB', 'mariadbUrl', 'the file is changed first'],
] as const)('source.password_file on %s', (_, server, order) => {
  let daemon: Cdc | undefined;
  afterEach(() => void daemon?.child.kill('SIGKILL'));

  test(`is read for each connection, so that a rotated password needs no restart: ${order}`, async () => {
    const fixture = new Fixture(inject(server), 'rotation');
    const file = join(fixture.directory, 'password');
    try {
      await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
      await fixture.query(
        'DROP USER IF EXISTS rotated',
        "CREATE USER rotated IDENTIFIED BY 'one'",
        'GRANT ALL ON *.* TO rotated',
      );
      const { endpoint } = await fixture.startFirehose();
      const { host } = new URL(fixture.url);
      writeFileSync(file, 'one\n');
      writeFileSync(
        join(fixture.directory, 'cdc.yaml'),
        `name: shop
source: { url: "mysql://rotated@${host}", password_file: password, tls: disabled }
tables: ["rotation.*"]
firehose: { stream: changes, endpoint: "${endpoint}", linger: 20ms }
checkpoint: { file: state/shop.json }
`,
      );
      daemon = await fixture.run();
      await fixture.delivered();

      const rejections = (): number => daemon?.stderr().split('rejects user rotated').length ?? 0;
      const before = rejections();
      const change = [
        () => fixture.query("ALTER USER rotated IDENTIFIED BY 'two'"),
        async () => writeFileSync(file, 'two\n'),
      ];
      if (order === 'the file is changed first') change.reverse();
      await change[0]?.();
      await endConnections(fixture.url);
      await until(() => rejections() > before);
      await change[1]?.();
      await fixture.query('INSERT INTO rotation.item VALUES (1)');
      await fixture.delivered();
      expect(daemon.child.exitCode).toBeNull();
      expect(await fixture.compare('item')).toMatchObject({ equal: true, lakeRows: 1 });
      expect(daemon.stderr()).toContain('cdc reads the file for each attempt');

      // At the start nobody is rotating anything yet: a wrong password is an error that a person must see.
      daemon.child.kill('SIGTERM');
      await daemon.ended;
      writeFileSync(file, 'wrong');
      expect(await startCdc(fixture.directory, 'run').ended).toMatchObject({ code: 3 });
    } finally {
      daemon?.child.kill('SIGKILL');
      await fixture.query('DROP USER IF EXISTS rotated');
      await fixture.remove();
    }
  });
});

async function endConnections(url: string): Promise<void> {
  const connection = await createConnection({ uri: url, rowsAsArray: true });
  try {
    const [rows] = await connection.query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'rotated'");
    for (const [id] of rows as unknown as [number][]) await connection.query(`KILL ${id}`).catch(() => {});
  } finally {
    connection.destroy();
  }
}
