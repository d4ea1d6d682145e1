import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { startLocalFirehose } from '../../../src/local/firehose/server.ts';
import { startCdc, until } from '../pipeline-fixture.ts';
import { VerifyFixture } from './verify-fixture.ts';

/** A stream that keeps what it has until the test lets it write. */
class SlowFixture extends VerifyFixture {
  override async startFirehose(port = 0) {
    const lake = { lake: this.lake, streams: [{ name: 'changes', bufferSeconds: 900 }] };
    this.firehose = await startLocalFirehose({ listen: { host: '127.0.0.1', port }, ...lake });
    return this.firehose;
  }

  /** Lets the stream write everything to the lake. The daemon asks again meanwhile. */
  async flush(): Promise<void> {
    const { port } = new URL(this.firehose?.endpoint ?? '');
    await this.firehose?.close();
    await this.startFirehose(Number(port));
  }

  /** Waits until the lake has this row. */
  async settle(id: number): Promise<void> {
    this.firehose?.setFaults(undefined);
    await until(async () => {
      await this.flush();
      return (await this.lines('a', `"id":${id},`)).length > 0;
    });
  }
}

let bed: SlowFixture;
let rows = 20;
let lastId = rows;
beforeAll(async () => {
  bed = new SlowFixture(inject('mysqlUrl'), 'verify_waiting');
  await bed.createSchema();
  await bed.start();
  await bed.query(
    `USE ${bed.schema}`,
    'CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(40))',
    ...Array.from({ length: rows }, (_, i) => `INSERT INTO a VALUES (${i + 1}, 'row')`),
  );
});
afterAll(() => bed?.remove());
afterEach(() => bed.settle(lastId));

/** A row that the lake does not have yet. */
async function insert(): Promise<void> {
  await bed.query(`INSERT INTO ${bed.schema}.a VALUES (${++lastId}, 'new')`);
  rows++;
}
const none = { missing: 0, extra: 0, different: 0, differences: [] };

describe('a row on its way', () => {
  test('is waited for, and what is waited for is shown', async () => {
    await insert();
    const { child, ended, stderr, stdout } = startCdc(bed.directory, 'verify', 'verify_waiting.a');
    await until(() => stderr().includes('waiting for the stream') || child.exitCode !== null);
    expect([child.exitCode, stdout()]).toEqual([null, '']);
    await bed.flush();
    const { code, stdout: text } = await ended;
    expect(stderr()).toMatch(
      /^waiting for the daemon to deliver everything up to \S+\.\d+:\d+ \(\d+ keys? .* equal yet\)$/m,
    );
    expect(stderr()).toMatch(
      /^waiting for the stream to write its buffer, at most \d+ s more \(\d+ keys? .* equal yet\)$/m,
    );
    expect([text.split('\n')[0], code]).toEqual([`verify_waiting.a: ${rows} rows, equal`, 0]);
  });

  test('is not decided, and never missing, if --wait is shorter', async () => {
    expect((await bed.verify('verify_waiting.a')).report.tables).toMatchObject([none]);
    const before = await verified();
    await insert();
    await bed.query(`USE ${bed.schema}`, "UPDATE a SET v = 'changed' WHERE id = 1", 'DELETE FROM a WHERE id = 2');
    rows--;
    const { report, code } = await bed.verify('verify_waiting.a', '--wait', '1s');
    expect([report.tables, report.ok, code]).toMatchObject([[{ ...none, undecided: 3 }], false, 1]);
    // What is not decided is no result of the table.
    expect(await verified()).toEqual(before);
  });

  test('is not decided while the daemon cannot deliver', async () => {
    bed.firehose?.setFaults({ rules: [{ fault: 'error', type: 'ServiceUnavailableException' }] });
    await insert();
    const { report, code } = await bed.verify('verify_waiting.a', '--wait', '1s');
    expect([report.tables, code]).toMatchObject([[{ ...none, undecided: 1 }], 1]);
  });
});

/** What the daemon remembers of the table. */
async function verified(): Promise<unknown> {
  const { tables } = await bed.client.status();
  return tables.find(({ schema, table }) => schema === bed.schema && table === 'a')?.verified;
}

describe('a daemon that is stopped', () => {
  afterEach(() => void bed.daemon?.child.kill('SIGCONT'));

  test('while verify waits for it leaves the keys undecided', async () => {
    bed.firehose?.setFaults({ rules: [{ fault: 'error', type: 'ServiceUnavailableException' }] });
    await insert();
    const { child, ended, stderr } = startCdc(bed.directory, 'verify', 'verify_waiting.a', '--wait', '5s');
    await until(() => stderr().includes('waiting for the daemon') || child.exitCode !== null);
    bed.daemon?.child.kill('SIGSTOP');
    const { code, stdout } = await ended;
    expect([stdout.split('\n')[0], code], stderr()).toEqual([
      `verify_waiting.a: ${rows} rows, 1 key not decided in the time of --wait`,
      1,
    ]);
  });

  test('from the begin is an error, and nothing is compared', async () => {
    await insert();
    bed.daemon?.child.kill('SIGSTOP');
    const { code, stdout, stderr } = await bed.verifyCommand('verify_waiting.a', '--wait', '1s');
    expect([stdout, code]).toEqual(['', 1]);
    expect(stderr).toContain('the daemon does not answer');
  });
});
