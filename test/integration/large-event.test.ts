import { constants } from 'node:buffer';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { type Cdc, cdc, Fixture, until } from './pipeline-fixture.ts';

/** Of the memory for the event, this much may be left: less than the value of the row. */
const KEPT_BYTES_MAX = 70_000_000;
/** A row whose event is too long for a string, if asked for: it takes half a minute and 3 GB of memory. */
const isWhole = process.env.CDC_LARGE_EVENTS !== undefined;
const BLOB_BYTES = isWhole ? Math.ceil((constants.MAX_STRING_LENGTH / 4) * 3) + 3 : 72 * 1024 * 1024;
const EVENT_BYTES = Math.ceil(BLOB_BYTES / 3) * 4;
/** When V8 collects garbage by itself is its own affair, so the test asks for it: with the signal SIGUSR2. */
const COLLECTS_GARBAGE = `--expose-gc --import=data:text/javascript,process.on('SIGUSR2',()=>gc())`;

let fixture: Fixture;
let daemon: Cdc | undefined;
beforeEach(async () => {
  fixture = new Fixture(inject('mysqlUrl'), 'large_event');
  // Larger rows than InnoDB's redo log are slow.
  await fixture.createSchema('CREATE TABLE files (id INT PRIMARY KEY, content LONGBLOB) ENGINE=MyISAM');
});
afterEach(async () => {
  daemon?.child.kill('SIGKILL');
  await daemon?.ended;
  await fixture.remove();
});

/** The memory of a process without its files, in bytes; 0 where the system does not say. */
const residentBytes = ({ child }: Cdc): number =>
  process.platform === 'linux'
    ? Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024
    : 0;

test('an event of any size becomes a dead letter, its memory is given back, and the commands cope with it', async () => {
  const folder = join(fixture.directory, 'state', 'dead-letter');
  fixture.configure((await fixture.startFirehose()).endpoint);
  fixture.env = { NODE_OPTIONS: COLLECTS_GARBAGE };
  const following = await fixture.run();
  daemon = following;
  const before = residentBytes(following);
  await fixture.query('SET GLOBAL max_allowed_packet = 1073741824');
  await fixture.query(`USE ${fixture.schema}`, `INSERT INTO files VALUES (1, REPEAT('abc', ${BLOB_BYTES / 3}))`);
  await until(() => following.stderr().includes('event moved to the dead letters'), 120_000);
  // The buffers of the last rows are reused by those that follow.
  await until(async () => {
    await fixture.delivered();
    following.child.kill('SIGUSR2');
    return residentBytes(following) - before < KEPT_BYTES_MAX;
  });
  following.child.kill('SIGTERM');
  expect(await following.ended).toMatchObject({ code: 0 });

  const [file = ''] = readdirSync(folder);
  expect(statSync(join(folder, file)).size).toBeGreaterThan(EVENT_BYTES);
  const listed = JSON.parse((await cdc(fixture.directory, 'dead-letter', 'list', '--json')).stdout);
  expect(listed).toMatchObject({ strange: [], letters: [{ table: 'large_event.files', key: '{"id":1}', op: 'c' }] });
  const { seq, bytes } = listed.letters[0];
  expect(bytes).toBeGreaterThan(EVENT_BYTES);
  const shown = await cdc(fixture.directory, 'dead-letter', 'show', seq);
  expect(shown).toMatchObject({ code: 0, stdout: expect.stringMatching(/event {5}too large to show; .*--event/) });
  const retried = await cdc(fixture.directory, 'dead-letter', 'retry', '--all');
  expect(retried.code).toBe(1);
  expect(retried.stdout).toContain('bytes are more than a Firehose record may have (1024000)');
  expect(readdirSync(folder)).toEqual([file]);
}, 300_000);
