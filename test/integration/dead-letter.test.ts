import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { DeadLetterStore, type ListedDeadLetter } from '../../src/dead-letter/dead-letter-store.ts';
import { listObjects } from '../../src/lake/objects.ts';
import type { FaultPlan } from '../../src/local/firehose/faults.ts';
import { type LocalFirehose, startLocalFirehose } from '../../src/local/firehose/server.ts';
import { letter, seqOf } from '../unit/dead-letter/dead-letters.ts';
import { cdc, type Ended, Fixture, startCdc, tableOf, until } from './pipeline-fixture.ts';

const STREAM = 'shop-changes';
/** A key that does not fit into a double, and an event with control characters for a terminal. */
const HUGE = '{"id":18446744073709551615}';
const SPECIAL = letter(0xabc, {
  key: HUGE,
  event: Buffer.from(`{"op":"c","key":${HUGE},"s":"\u009b31m \\u001b[31m ü😀","seq":"${seqOf(0xabc)}"}\n`),
});

let directory: string;
let letters: string;
let store: DeadLetterStore;
let firehose: LocalFirehose | undefined;
let calls: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-dead-letter-'));
  letters = join(directory, 'state', 'dead-letter');
  store = new DeadLetterStore(letters, 'shop', 1024 ** 3);
  calls = 0;
  firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake: join(directory, 'lake'),
    streams: [STREAM, 'orders'].map((name) => ({ name, bufferSeconds: 0 })),
    onCall: () => void calls++,
  });
  configure(firehose.endpoint);
});
afterEach(async () => {
  await firehose?.close();
  firehose = undefined;
  rmSync(directory, { recursive: true });
});

function configure(endpoint: string, more = ''): void {
  writeFileSync(
    join(directory, 'cdc.yaml'),
    `name: shop
source: { url: "mysql://cdc@127.0.0.1" }
firehose:
  stream: ${STREAM}
  endpoint: "${endpoint}"
${more}`,
  );
}

const deadLetter = (...words: string[]): Promise<Ended> => cdc(directory, 'dead-letter', ...words);

const poison = (text: string, more: object = {}): FaultPlan =>
  ({ rules: [{ fault: 'poison', text, ...more }] }) as FaultPlan;

/** Closes Firehose and returns the lines that it has delivered. */
async function landed(stream = STREAM): Promise<string[]> {
  await firehose?.close();
  firehose = undefined;
  const objects = await listObjects(join(directory, 'lake'), stream);
  return objects.flatMap(({ path }) => readFileSync(path, 'utf8').trimEnd().split('\n')).sort();
}

const lineOf = (n: number): string => letter(n).event.toString().trimEnd();

describe('cdc run', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = new Fixture(inject('mysqlUrl'), `dead_letter_${process.pid}`);
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY, v LONGTEXT)');
    fixture.configure((await fixture.startFirehose()).endpoint);
  });
  afterEach(() => fixture.remove());

  const ran = async (...statements: string[]): Promise<void> => {
    const daemon = await fixture.run();
    await fixture.query(`USE ${fixture.schema}`, ...statements);
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });
  };
  const items = async () => (await fixture.landed()).filter((event) => tableOf(event) === 'item');
  const deadLetters = async () =>
    JSON.parse((await cdc(fixture.directory, 'dead-letter', 'list', '--json')).stdout).letters as ListedDeadLetter[];

  test('moves events that are too large or rejected alone, delivers the rest, and a retry delivers one of them', async () => {
    fixture.firehose?.setFaults(poison('poisoned'));
    await ran(
      `INSERT INTO item VALUES (1, 'poisoned'), (2, 'sound'), (3, REPEAT('x', 1100000)), (4, 'sound')`,
      `UPDATE item SET v = 'sound too' WHERE id = 4`,
    );
    expect((await items()).map(({ key }) => (key as { id: number }).id).sort()).toEqual([2, 4, 4]);
    const [rejected, large, ...more] = await deadLetters();
    expect(more).toEqual([]);
    const table = `${fixture.schema}.item`;
    expect(rejected).toMatchObject({ table, key: '{"id":1}', op: 'c', stream: 'changes', gtid: expect.any(String) });
    expect(rejected?.reason).toContain('refused by Firehose: ValidationException');
    expect(rejected?.attempts).toBeGreaterThan(0);
    expect(large).toMatchObject({ table, key: '{"id":3}', attempts: 0, reason: expect.stringContaining('1024000') });

    // The checkpoint is past them: they are not read again.
    fixture.firehose?.setFaults(undefined);
    await ran(`DELETE FROM item WHERE id = 2`);
    expect(await items()).toHaveLength(4);
    expect(await cdc(fixture.directory, 'dead-letter', 'retry', rejected?.seq as string)).toMatchObject({ code: 0 });
    await until(async () => (await items()).length === 5);
    expect((await deadLetters()).map(({ seq }) => seq)).toEqual([large?.seq]);
  });

  test('moves only the event that the operator has listed', async () => {
    await ran();
    const before = readFileSync(fixture.checkpoint);
    await ran(`INSERT INTO item VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
    const listed = (await items()).find(({ key }) => (key as { id: number }).id === 2)?.seq as string;
    writeFileSync(fixture.checkpoint, before);
    fixture.configure(fixture.firehose?.endpoint as string, `dead_letter: { events: ["${listed}"] }`);
    await ran();
    const delivered = (await items()).map(({ key }) => (key as { id: number }).id).sort();
    expect(delivered).toEqual([1, 1, 2, 3, 3]);
    expect(await deadLetters()).toMatchObject([{ seq: listed, key: '{"id":2}', reason: 'named by the operator' }]);
  });

  test('stops with its checkpoint unmoved when a dead letter would exceed the limit', async () => {
    await ran();
    fixture.configure(fixture.firehose?.endpoint as string, 'dead_letter: { max_bytes: 1MB }');
    const daemon = await fixture.run();
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1, REPEAT('x', 1100000))`);
    const { code, stderr } = await daemon.ended;
    expect(code).toBe(1);
    expect(stderr).toContain('the dead letters would exceed dead_letter.max_bytes (1000000)');
    expect(await deadLetters()).toEqual([]);
    fixture.configure(fixture.firehose?.endpoint as string);
    await ran();
    expect(await deadLetters()).toMatchObject([{ key: '{"id":1}' }]);
  });
});

describe('cdc dead-letter list', () => {
  test('shows each dead letter with its reason, without control characters', async () => {
    const reason = `refused by Firehose: \u001b[2Jbad\nnews ${'x'.repeat(100)}`;
    await store.write([SPECIAL, letter(1, { reason, attempts: 1234 })]);
    const { code, stdout, stderr } = await deadLetter('list');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.split('\n');
    expect(lines).toHaveLength(6);
    expect(lines[1]).toMatch(
      /^6b02e25e0{7}20{9}1000000001f {2}\d{4}-\S+Z {2}shop\.orders {2}\{"id":1\}.*bad news x+….* 1,234 +71$/,
    );
    expect(lines[2]).toContain(HUGE);
    expect(lines[4]).toBe(`2 dead letters in ${letters}`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for them
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  test('names the directory if there are none', async () => {
    expect(await deadLetter('list')).toMatchObject({ code: 0, stdout: `no dead letters in ${letters}\n`, stderr: '' });
    expect(JSON.parse((await deadLetter('list', '--json')).stdout)).toEqual({
      directory: letters,
      letters: [],
      strange: [],
    });
  });

  test('warns about damaged files, and lists the others', async () => {
    await store.write([letter(1), letter(2)]);
    writeFileSync(store.pathOf(seqOf(1)), '{"version":1');
    const { code, stdout, stderr } = await deadLetter('list');
    expect(code).toBe(0);
    expect(stderr).toContain(`warning: cannot read shop.${seqOf(1)}.json: `);
    expect(stdout).toContain('1 dead letter in');
    const { letters: listed, strange } = JSON.parse((await deadLetter('list', '--json')).stdout);
    expect(listed).toMatchObject([{ seq: seqOf(2), key: '{"id":2}', attempts: 1, bytes: letter(2).event.length }]);
    expect(strange).toMatchObject([{ file: `shop.${seqOf(1)}.json` }]);
  });

  test('lists the configured directory, and only the dead letters of the pipeline', async () => {
    configure('http://127.0.0.1:1', 'dead_letter: { directory: elsewhere }');
    await new DeadLetterStore(join(directory, 'elsewhere'), 'shop', 1e9).write([letter(7)]);
    await new DeadLetterStore(join(directory, 'elsewhere'), 'other', 1e9).write([letter(8)]);
    const { stdout } = await deadLetter('list');
    expect(stdout).toContain(seqOf(7));
    expect(stdout).not.toContain(seqOf(8));
  });
});

describe('cdc dead-letter show', () => {
  test('prints every field, and with --event only the bytes of the event', async () => {
    await store.write([SPECIAL]);
    const { code, stdout } = await deadLetter('show', seqOf(0xabc));
    expect(code).toBe(0);
    const shown = new Map(stdout.split('\n').map((line) => [line.slice(0, 10).trim(), line.slice(10)]));
    expect(Object.fromEntries(shown)).toMatchObject({
      id: seqOf(0xabc),
      table: 'shop.orders',
      key: HUGE,
      position: 'binlog.000002:2748',
      stream: STREAM,
      reason: SPECIAL.reason,
      file: store.pathOf(seqOf(0xabc)),
    });
    expect((await deadLetter('show', seqOf(0xabc), '--event')).stdout).toBe(SPECIAL.event.toString());
    const json = JSON.parse((await deadLetter('show', seqOf(0xabc), '--json')).stdout);
    expect(json).toMatchObject({ key: HUGE, event: SPECIAL.event.toString(), attempts: 1 });
  });

  test('accepts the beginning or the end of an id, in any case, if only one id matches', async () => {
    const other = `7${seqOf(0x2).slice(1, -2)}aa`;
    await store.write([letter(1), letter(2, { seq: other })]);
    for (const part of ['7', 'AA', other]) {
      expect((await deadLetter('show', part)).stdout).toContain(other);
    }
  });

  test('rejects an id that matches none or several, with code 2 and a hint', async () => {
    await store.write([letter(1), letter(2)]);
    expect(await deadLetter('show', 'ffff')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('cdc dead-letter list'),
    });
    const several = await deadLetter('show', '6b02');
    expect(several).toMatchObject({ code: 2, stdout: '' });
    expect(several.stderr).toContain('6b02 matches 2 dead letters');
    const empty = await deadLetter('retry', '');
    expect(empty).toMatchObject({ code: 2, stderr: expect.stringContaining('the id of a dead letter is empty') });
    expect(several.stderr).toContain(seqOf(2));
  });

  test('writes an event of many MB to a pipe completely', async () => {
    const event = Buffer.from(`{"s":"${'ü'.repeat(4_000_000)}"}\n`);
    await store.write([letter(1, { event })]);
    expect(Buffer.from((await deadLetter('show', seqOf(1), '--event')).stdout).equals(event)).toBe(true);
  });
});

describe('cdc dead-letter retry', () => {
  test('--all sends every dead letter of the pipeline, byte for byte, and removes them', async () => {
    await store.write([letter(1), letter(2), letter(3), SPECIAL]);
    const { code, stdout } = await deadLetter('retry', '--all');
    expect({ code, last: stdout.trimEnd().split('\n').at(-1) }).toEqual({
      code: 0,
      last: `4 sent, 0 remain in ${letters}`,
    });
    expect(readdirSync(letters)).toEqual([]);
    const special = SPECIAL.event.toString().trimEnd();
    expect(await landed()).toEqual([lineOf(1), lineOf(2), lineOf(3), special].sort());
  });

  test('sends only those whose ids are given', async () => {
    await store.write([letter(1), letter(2), letter(3)]);
    expect(await deadLetter('retry', seqOf(1), seqOf(3), seqOf(3))).toMatchObject({ code: 0 });
    expect(await store.ids()).toEqual([seqOf(2)]);
    expect(await landed()).toEqual([lineOf(1), lineOf(3)]);
  });

  test.each([
    ['its call', {}, 'ValidationException'],
    ['its record', { fails: 'slot', code: 'ValidationException' }, 'ValidationException'],
  ])(
    'keeps the one whose event Firehose rejects with %s, counts the attempt, exits with 1, and sends it after the repair',
    async (_, how, code) => {
      await store.write([letter(1), letter(2), letter(3)]);
      firehose?.setFaults(poison('"id":2}', how));
      const first = await deadLetter('retry', '--all');
      expect(first).toMatchObject({
        code: 1,
        stdout: expect.stringContaining(`stays  ${seqOf(2)}: refused by Firehose: ${code}`),
      });
      expect(first.stdout).toContain('2 sent, 1 remain');
      expect(await store.read(seqOf(2))).toMatchObject({ attempts: 2, reason: expect.stringContaining(code) });
      firehose?.setFaults(undefined);
      expect(await deadLetter('retry', seqOf(2))).toMatchObject({ code: 0 });
      expect(await landed()).toEqual([lineOf(1), lineOf(2), lineOf(3)]);
    },
  );

  test('sends to the current stream of the table', async () => {
    configure(firehose?.endpoint as string, '  routes: { "shop.or*": orders }\n');
    await store.write([letter(1), letter(2, { table: '`shop`.users' }), letter(3, { table: 'shop.ORDERS' })]);
    await store.write([letter(4, { table: 'shop.ORDERS', stream: 'orders' })]);
    const { code, stdout } = await deadLetter('retry', '--all');
    expect(code).toBe(0);
    expect(stdout).toContain(`sent   ${seqOf(1)} to orders\n`);
    expect(await landed('orders')).toEqual([lineOf(1), lineOf(4)]);
    expect(await landed()).toEqual([lineOf(2), lineOf(3)]);
  });

  test('retries while Firehose fails or throttles', async () => {
    await store.write([letter(1), letter(2)]);
    firehose?.setFaults({
      rules: [
        { fault: 'all-fail', times: 3 },
        { fault: 'lost', stored: false, times: 1 },
      ],
    });
    expect(await deadLetter('retry', '--all')).toMatchObject({ code: 0 });
    expect(await landed()).toEqual([lineOf(1), lineOf(2)]);
  });

  test('keeps all and prints the reason if the stream does not exist', async () => {
    await store.write([letter(1), letter(2)]);
    writeFileSync(
      join(directory, 'cdc.yaml'),
      readFileSync(join(directory, 'cdc.yaml'), 'utf8').replace(STREAM, 'gone'),
    );
    const { code, stdout } = await deadLetter('retry', '--all');
    expect(code).toBe(1);
    expect(stdout).toContain('ResourceNotFoundException');
    expect(stdout).toContain('do: check firehose.stream');
    expect((await store.list()).letters.map(({ attempts }) => attempts)).toEqual([1, 1]);
  });

  test('keeps one that is too large for a record, and sends the others', async () => {
    const event = Buffer.from(`{"s":"${'x'.repeat(1_024_000)}"}\n`);
    await store.write([letter(1, { event, attempts: 0 }), letter(2)]);
    const { code, stdout } = await deadLetter('retry', '--all');
    expect(code).toBe(1);
    expect(stdout).toContain(`stays  ${seqOf(1)}: 1024009 bytes are more than a Firehose record may have (1024000)`);
    expect(stdout).toContain('1 sent, 1 remain');
    expect(await store.ids()).toEqual([seqOf(1)]);
  });

  test('keeps what was not accepted when SIGTERM ends it', async () => {
    await store.write([letter(1), letter(2)]);
    firehose?.setFaults({ rules: [{ fault: 'hang' }] });
    const running = startCdc(directory, 'dead-letter', 'retry', '--all');
    await until(() => calls === 2);
    running.child.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 1, stdout: expect.stringContaining('0 sent, 2 remain') });
    expect((await store.list()).letters.map(({ attempts }) => attempts)).toEqual([1, 1]);
  });

  test('needs either ids or --all', async () => {
    expect(await deadLetter('retry')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no id of a dead letter was given'),
    });
    expect(await deadLetter('retry', 'aa', '--all')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('ids and --all cannot be combined'),
    });
    expect(await deadLetter('retry', 'aa')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no dead letter aa'),
    });
    expect(await deadLetter('retry', '--all')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('0 sent, 0 remain'),
    });
  });
});

describe('cdc dead-letter', () => {
  test('and each of its commands have help with an example; wrong usage is code 2', async () => {
    for (const words of [[], ['list'], ['show'], ['retry']]) {
      expect(await deadLetter(...words, '--help')).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('Example:\n  cdc dead-letter'),
      });
    }
    for (const words of [[], ['show'], ['purge'], ['list', '--all'], ['show', 'aa', '--event', '--json']]) {
      expect(await deadLetter(...words)).toMatchObject({ code: 2, stdout: '' });
    }
  });

  test('reports a missing configuration and a directory that cannot be read', async () => {
    mkdirSync(join(directory, 'state'));
    writeFileSync(letters, 'a file');
    for (const words of [['list'], ['show', 'aa'], ['retry', '--all']]) {
      expect(await deadLetter(...words)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/cannot read .*\n.*ENOTDIR.*\n.*do:/),
      });
      expect(await deadLetter(...words, '-c', 'none.yaml')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('none.yaml'),
      });
    }
  });
});
