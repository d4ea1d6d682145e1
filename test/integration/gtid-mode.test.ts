import { readFileSync } from 'node:fs';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LocalServer, ServerKind } from '../../src/local/mysql/server.ts';
import { type Cdc, Fixture, startCdc, tableOf, until } from './pipeline-fixture.ts';
import { startTestServer } from './test-server.ts';

// gtid_mode is global, and a restart ends everything, so the servers are of this file alone.

const MODES = ['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'] as const;
type Mode = (typeof MODES)[number];

describe('gtid_mode of MySQL', () => {
  let server: LocalServer;
  let fixture: Fixture;
  let daemon: Cdc | undefined;
  let id = 0;
  beforeAll(async () => {
    server = await startTestServer({ flavor: 'mysql' });
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    fixture = new Fixture(server.url, 'modes');
    await step('ON');
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY, mode VARCHAR(20))');
    fixture.configure((await fixture.startFirehose()).endpoint);
  });
  afterEach(async () => {
    daemon?.child.kill('SIGKILL');
    await fixture.remove();
  });

  const insert = (mode: string) => fixture.query(`INSERT INTO modes.item VALUES (${++id}, '${mode}')`);

  /** Goes to the mode step by step. */
  async function step(to: Mode, afterEachStep: (mode: Mode) => Promise<void> = async () => {}): Promise<void> {
    const connection = await createConnection({ uri: server.url, rowsAsArray: true });
    try {
      const [[row]] = (await connection.query('SELECT @@GLOBAL.gtid_mode')) as unknown as [[[Mode]]];
      for (let at = MODES.indexOf(row[0]); at !== MODES.indexOf(to); ) {
        at += Math.sign(MODES.indexOf(to) - at);
        await connection.query(`SET GLOBAL gtid_mode = ${MODES[at]}`);
        await afterEachStep(MODES[at] as Mode);
      }
    } finally {
      connection.destroy();
    }
  }

  const executed = async (): Promise<string> => {
    const connection = await createConnection({ uri: server.url, rowsAsArray: true });
    const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed');
    connection.destroy();
    return String((rows as unknown as [[string]])[0][0]).replace(/\s/g, '');
  };

  const stop = async (): Promise<{ gtids: string | null }> => {
    daemon?.child.kill('SIGTERM');
    expect(await daemon?.ended).toMatchObject({ code: 0 });
    return saved();
  };

  /** Returns how far it came. */
  const expectRefused = async (mode: Mode): Promise<{ file: string; position: number }> => {
    const { code, stderr } = await startCdc(fixture.directory, 'run').ended;
    expect([code, stderr]).toEqual([4, expect.stringContaining('does not send the transactions after the checkpoint')]);
    expect(stderr).toContain(`SET GLOBAL gtid_mode = ${mode};`);
    return saved();
  };

  const saved = (): { file: string; position: number; gtids: string | null } => {
    const { file, position, gtids } = JSON.parse(readFileSync(fixture.checkpoint, 'utf8'));
    return { file, position, gtids };
  };

  const expectEverything = async (): Promise<void> => {
    await fixture.delivered();
    const items = (await fixture.landed()).filter((event) => tableOf(event) === 'item');
    expect(await fixture.compare('item')).toMatchObject({ equal: true, conflicts: 0 });
    expect(new Set(items.map(({ seq }) => seq)).size).toBe(items.length);
  };

  test('can be turned OFF and ON again, step by step, while cdc runs: nothing is lost, repeated or stopped', async () => {
    daemon = await fixture.run();
    for (const to of ['OFF', 'ON'] as const) {
      await step(to, async (mode) => {
        await insert(mode);
        await fixture.delivered();
      });
    }
    expect(daemon.child.exitCode).toBeNull();
    await expectEverything();
    // Without a restart it knows the GTIDs again, so that another server could take over.
    expect((await stop()).gtids).toBe(await executed());
    daemon = await fixture.run();
    await insert('at the end');
    await expectEverything();
    expect((await stop()).gtids).toBe(await executed());
  });

  test('can be turned OFF, and ON again, while cdc is down and has delivered everything', async () => {
    daemon = await fixture.run();
    await insert('ON');
    await fixture.delivered();
    await stop();
    await step('OFF');
    daemon = await fixture.run();
    await insert('OFF');
    await expectEverything();
    expect(await stop()).toMatchObject({ gtids: null });
    await step('ON');
    daemon = await fixture.run();
    await insert('ON again');
    await expectEverything();
    await stop();
    daemon = await fixture.run();
    await insert('ON');
    await expectEverything();
    expect(await stop()).toMatchObject({ gtids: expect.stringContaining(':') });
  });

  test('that was OFF for a while cdc was down, and is ON again, does not hide what was written meanwhile', async () => {
    daemon = await fixture.run();
    await insert('ON');
    await fixture.delivered();
    await stop();
    await step('OFF', insert);
    await step('ON', insert);
    // The rows of ON_PERMISSIVE have GTIDs; those of OFF have none.
    await expectRefused('ON_PERMISSIVE');
    await step('ON_PERMISSIVE');
    daemon = await fixture.run();
    await expectEverything();
  });

  test.each([
    ['OFF', 'ON', 'ON_PERMISSIVE'],
    ['ON', 'OFF', 'OFF_PERMISSIVE'],
  ] as const)(
    'turned from %s to %s before all was read stops cdc with code 4, and %s lets it continue',
    async (from, to, back) => {
      await step(from);
      daemon = await fixture.run();
      await insert(from);
      await fixture.delivered();
      await stop();
      await insert(from);
      await step(to);
      await insert(to);
      await expectRefused(back);
      await step(back);
      daemon = await fixture.run();
      await expectEverything();
    },
  );
});

describe.each([
  ['mysql', test],
  ['mariadb', test],
  // It logs DELETE FROM `memory`.`seen` instead of TRUNCATE TABLE.
  ['mysql-5.6', test],
] as const)('a MEMORY table of %s', (flavor: ServerKind, testOf) => {
  testOf('that a restart of the server empties is emptied in the lake too', async () => {
    const server = await startTestServer({ flavor });
    const fixture = new Fixture(server.url, 'memory');
    let daemon: Cdc | undefined;
    try {
      await fixture.createSchema('CREATE TABLE seen (id INT PRIMARY KEY) ENGINE=MEMORY');
      fixture.configure((await fixture.startFirehose()).endpoint);
      daemon = await fixture.run();
      await fixture.query('INSERT INTO memory.seen VALUES (1), (2)');
      await fixture.delivered();
      daemon.child.kill('SIGTERM');
      await daemon.ended;
      await server.restart();
      daemon = await fixture.run();
      await fixture.query('INSERT INTO memory.seen VALUES (3)');
      await fixture.query('CREATE TABLE memory.done (id INT PRIMARY KEY)', 'INSERT INTO memory.done VALUES (1)');
      await until(async () => daemon?.child.exitCode !== null || (await fixture.landed()).some(isDone));
      expect(daemon.child.exitCode).toBeNull();
      const events = (await fixture.landed()).filter((event) => tableOf(event) === 'seen');
      expect(events.map(({ op }) => op)).toEqual(['c', 'c', 't', 'c']);
      expect(await fixture.compare('seen')).toMatchObject({ equal: true, lakeRows: 1 });
    } finally {
      daemon?.child.kill('SIGKILL');
      await fixture.remove();
      await server.stop();
    }
  });
});

const isDone = (event: Record<string, unknown>): boolean => tableOf(event) === 'done';
