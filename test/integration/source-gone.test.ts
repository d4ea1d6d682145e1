import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { sourceConnection } from '../../src/config/source-connection.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { Coverage } from '../../src/model/coverage.ts';
import { GtidSet } from '../../src/model/gtid-set.ts';
import { MariadbGtidPosition } from '../../src/model/mariadb-gtid-position.ts';
import { ReplicationPosition } from '../../src/model/replication-position.ts';
import { ChangeStream } from '../../src/source/change-stream.ts';
import { TableSchemaCache } from '../../src/source/schema/table-schema-cache.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import type { StartPoint } from '../../src/source/start-point.ts';
import { IGNORE_CHANGES, lineOf } from '../encoded-event.ts';
import { type Cdc, Fixture, startCdc, until } from './pipeline-fixture.ts';
import { startTestServer } from './test-server.ts';

// These tests take binlogs away, so each flavor has a server of its own.

const TABLE = 'CREATE TABLE item (id INT PRIMARY KEY)';
const RESET = { mysql: 'RESET BINARY LOGS AND GTIDS', mariadb: 'RESET MASTER' };

describe.each(['mysql', 'mariadb'] as const)('%s whose binlog is gone', (flavor) => {
  let server: LocalServer;
  let fixture: Fixture;
  let daemon: Cdc;
  beforeAll(async () => {
    server = await startTestServer({ flavor });
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    fixture = new Fixture(server.url, 'gone');
    await fixture.createSchema(TABLE);
    fixture.configure((await fixture.startFirehose()).endpoint);
    daemon = await fixture.run();
    await fixture.query('INSERT INTO gone.item VALUES (1)');
    await fixture.delivered();
  });
  afterEach(async () => {
    daemon.child.kill('SIGKILL');
    await fixture.remove();
  });

  const stop = async (): Promise<string> => {
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });
    return readFileSync(fixture.checkpoint, 'utf8');
  };

  const purge = async (): Promise<void> => {
    const connection = await createConnection({ uri: fixture.url, rowsAsArray: true });
    const logs = async (): Promise<string[]> =>
      ((await connection.query('SHOW BINARY LOGS'))[0] as unknown as [string][]).map(([name]) => name);
    await connection.query('FLUSH BINARY LOGS');
    const last = (await logs()).at(-1);
    // MariaDB keeps what a dump thread has in use, or a crash would still need.
    await until(async () => {
      await connection.query(`PURGE BINARY LOGS TO '${last}'`);
      return (await logs())[0] === last;
    });
    connection.destroy();
  };

  test('purged while it was down, with changes that were not delivered: code 4, and the gap has a name', async () => {
    const saved = await stop();
    await fixture.query('INSERT INTO gone.item VALUES (2)', 'INSERT INTO gone.item VALUES (3)');
    await purge();
    daemon = startCdc(fixture.directory, 'run');
    const { code, stderr } = await daemon.ended;
    expect(code).toBe(4);
    expect(stderr).toMatch(/the server no longer has the binlog that follows the checkpoint/);
    expect(stderr).toMatch(
      flavor === 'mysql'
        ? /purged and never delivered: [0-9a-f-]{36}:\d+-\d+/
        : /delivered up to 0-\d+-\d+, and purged up to 0-\d+-\d+/,
    );
    expect(readFileSync(fixture.checkpoint, 'utf8')).toBe(saved);
  });

  test('purged up to exactly what was delivered: the daemon continues', async () => {
    await stop();
    await purge();
    await fixture.query('INSERT INTO gone.item VALUES (2)');
    daemon = await fixture.run();
    await fixture.delivered();
    expect(await fixture.compare('item')).toMatchObject({ equal: true, lakeRows: 2 });
  });

  test('reset while it runs: code 4, in the words of what happened', async () => {
    await fixture.query(RESET[flavor], 'INSERT INTO gone.item VALUES (2)');
    const { code, stderr } = await daemon.ended;
    expect([code, stderr]).toEqual([
      4,
      expect.stringMatching(/could not find next log[\s\S]*no longer has the binlog that the checkpoint needs/),
    ]);
  });

  test('reset while it was down, and filled beyond the old numbers: the new changes do not pass for the old', async () => {
    await fixture.query('FLUSH BINARY LOGS', 'FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');
    await fixture.delivered();
    const saved = JSON.parse(await stop()) as { gtids: string };
    const reached = Number(/(\d+)$/.exec(saved.gtids)?.[1]);
    await fixture.query(RESET[flavor], 'DELETE FROM gone.item');
    await fixture.query(...Array.from({ length: reached + 5 }, (_, id) => `INSERT INTO gone.item VALUES (${id})`));
    daemon = startCdc(fixture.directory, 'run');
    const { code, stderr } = await daemon.ended;
    expect([code, stderr]).toEqual([4, expect.stringContaining('the binlogs of the server were reset')]);
  });
});

describe.each([
  { name: 'MySQL', flavor: 'mysql', settings: [], reset: RESET.mysql },
  {
    name: 'MySQL without GTIDs',
    flavor: 'mysql',
    settings: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    reset: RESET.mysql,
  },
  { name: 'MariaDB', flavor: 'mariadb', settings: [], reset: RESET.mariadb },
  { name: 'MySQL 5.6', flavor: 'mysql-5.6', settings: [], reset: RESET.mariadb },
] as const)('$name, whose binlogs were reset and are beyond the checkpoint again', ({ flavor, settings, reset }) => {
  let server: LocalServer;
  let fixture: Fixture;
  beforeAll(async () => {
    server = await startTestServer({ flavor, settings: [...settings] });
    fixture = new Fixture(server.url, 'gone');
    await fixture.createSchema(TABLE);
    fixture.configure((await fixture.startFirehose()).endpoint);
  });
  afterAll(async () => {
    await fixture?.remove();
    await server?.stop();
  });

  test('stops cdc with code 4 before it skips the first of them; cdc check says so too', async () => {
    let daemon = await fixture.run();
    await fixture.query('INSERT INTO gone.item VALUES (1), (2)');
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    await daemon.ended;
    const saved = readFileSync(fixture.checkpoint, 'utf8');
    const { file, position, gtids } = JSON.parse(saved) as { file: string; position: number; gtids: string | null };
    // The same GTIDs, and the same file and position, name other transactions.
    await fixture.query(reset, 'DELETE FROM gone.item');
    const inserts = Array.from({ length: 60 }, (_, id) => `INSERT INTO gone.item VALUES (${id})`);
    await fixture.query(...inserts);
    const facts = await readServerInfo(sourceConnection(configOf(server.url).source));
    expect([facts.end.file, facts.end.position > position]).toEqual([file, true]);
    if (gtids !== null) expect(facts.executed?.containsAll(parsed(gtids, flavor) as never)).toBe(true);

    daemon = startCdc(fixture.directory, 'run');
    await until(() => daemon.stderr().includes('following the binlog') || daemon.child.exitCode !== null);
    daemon.child.kill('SIGTERM');
    const { code, stderr } = await daemon.ended;
    const message = gtids === null ? 'the server has other transactions' : 'the binlogs of the server were reset';
    expect([code, stderr]).toEqual([4, expect.stringContaining(message)]);
    expect(stderr).toMatch(/"hint":"[^"]*move the checkpoint file away/);
    expect(readFileSync(fixture.checkpoint, 'utf8')).toBe(saved);
    const check = await startCdc(fixture.directory, 'check').ended;
    expect([check.code, check.stdout]).toEqual([3, expect.stringContaining(message)]);
  });
});

const parsed = (gtids: string, flavor: string): GtidSet | MariadbGtidPosition =>
  flavor === 'mariadb' ? MariadbGtidPosition.parse(gtids) : GtidSet.parse(gtids);

const configOf = (url: string) =>
  parseConfig(`source: { url: "${url}" }\nfirehose: { stream: s }\ntables: ["far.*"]`, {
    file: 'cdc.yaml',
    directory: tmpdir(),
    env: {},
  });

describe('a server without GTIDs', () => {
  let server: LocalServer;
  beforeAll(async () => {
    server = await startTestServer({
      flavor: 'mysql',
      settings: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    });
  });
  afterAll(() => server.stop());

  test('is followed from the head of a file, as behind 4 GiB, with the lines that a dump from the place itself gives', async () => {
    const fixture = new Fixture(server.url, 'far');
    await fixture.createSchema(TABLE);
    const { source } = configOf(server.url);
    await fixture.query('INSERT INTO far.item VALUES (1), (2)', 'UPDATE far.item SET id = id + 10');
    const facts = await readServerInfo(sourceConnection(source));
    await fixture.query(
      'INSERT INTO far.item VALUES (3)',
      'DELETE FROM far.item WHERE id > 10',
      'INSERT INTO far.item VALUES (4)',
    );
    const place = facts.end;
    const read = (over: Partial<StartPoint>) => lines(server.url, { dump: { coordinates: place }, ...over });
    const [direct, passing] = await Promise.all([
      read({}),
      read({ dump: { coordinates: { file: place.file, position: 4 } }, skipBefore: place }),
    ]);
    expect(direct.lines).toHaveLength(4);
    expect(passing.lines).toEqual(direct.lines);
    expect(passing.lowest).toBeGreaterThanOrEqual(place.position);
    await fixture.remove();

    async function lines(url: string, over: Pick<StartPoint, 'dump'> & Partial<StartPoint>) {
      const seen: string[] = [];
      const done = new AbortController();
      const delivered = new ReplicationPosition(undefined, place);
      let lowest = Number.POSITIVE_INFINITY;
      const tableSchemas = new TableSchemaCache([]);
      const coverage = new Coverage({ followedSince: null, complete: [], incomplete: [] });
      const start = { delivered, epoch: 1, tableSchemas, coverage, readGtidsFromFirstFile: false, ...over };
      const stream = new ChangeStream({ config: configOf(url), server: facts, start, signal: done.signal });
      await stream.follow({
        ...IGNORE_CHANGES,
        append: (_target, event) => void seen.push(lineOf(event).replace(/"ts_ms":\d+\}\s*$/, '')),
        commit: ({ position }) => {
          lowest = Math.min(lowest, position);
          if (seen.length === 4) done.abort();
        },
      });
      return { lines: seen, lowest };
    }
  });
});
