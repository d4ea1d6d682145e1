import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { CdcError } from '../../../../src/runtime/error.ts';
import { EventType as E } from '../../../../src/source/binlog/event-type.ts';
import { BufferedXaRows } from '../../../../src/source/binlog/xa-buffer.ts';
import {
  type EventParts,
  event,
  format,
  gtid,
  insert,
  lenenc,
  mariadbGtid,
  payload,
  query,
  rotate,
  Stream,
  tableMap,
  xaPrepare,
  xid,
  zstdFrame,
} from './events.ts';

const BEGIN = query('BEGIN');
const rows = (...values: number[]): EventParts[] => [tableMap(9, 't'), insert(9, ...values)];
const said = (...events: EventParts[]): string[] => new Stream().read(...events).told.said;

/** The error that these events end in. */
function errorOf(run: () => unknown): CdcError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(CdcError);
    return error as CdcError;
  }
  throw new Error('nothing was thrown');
}

describe('transactions', () => {
  test('are told with their rows, and a table once', () => {
    expect(said(gtid(1), BEGIN, ...rows(1, 2), ...rows(3), xid(), gtid(2), BEGIN, ...rows(4), query('COMMIT'))).toEqual(
      ['table t', 'c t 1,2 in :1', 'c t 3 in :1', 'commit :1', 'c t 4 in :2', 'commit :2'],
    );
  });

  test('of one statement commit by themselves; those of other tables tell nothing but their commit', () => {
    expect(
      said(gtid(1), query('CREATE TABLE x (id INT)'), gtid(2), BEGIN, tableMap(9, 'other'), insert(9, 1), xid()),
    ).toEqual(['commit :1', 'commit :2']);
  });

  test('that a crash of the server cut off did not happen', () => {
    const stream = new Stream().read(gtid(1), BEGIN, ...rows(1));
    stream.read(rotate('binlog.000002'), format(true), gtid(1), BEGIN, ...rows(2), xid());
    expect(stream.told.said).toEqual(['table t', 'c t 1 in :1', 'rollback', 'table t', 'c t 2 in :1', 'commit :1']);
  });

  test('tell savepoints and what is rolled back to them, by names that quotes and case do not change', () => {
    expect(said(gtid(1), BEGIN, query('SAVEPOINT `A``b c`'), ...rows(1), query('ROLLBACK TO `a``B C`'), xid())).toEqual(
      ['savepoint a`b c', 'table t', 'c t 1 in :1', 'rollback to a`b c', 'commit :1'],
    );
  });

  test('that end in ROLLBACK are taken back, and count as done', () => {
    expect(said(gtid(1), BEGIN, ...rows(1), query('ROLLBACK')).slice(2)).toEqual(['rollback', 'commit :1']);
  });

  test('a table id gets another table with another map, and is forgotten with the file of a server that restarted', () => {
    const stream = new Stream().read(gtid(1), BEGIN, ...rows(1), tableMap(9, 'u'), insert(9, 2), xid());
    expect(stream.told.said.slice(2, 4)).toEqual(['table u', 'c u 2 in :1']);
    stream.read(rotate('binlog.000002'), format(true), gtid(2), BEGIN);
    expect(errorOf(() => stream.read(insert(9, 3))).message).toMatch('names table id 9, which no table map');
  });

  test('idle is told between transactions only', () => {
    const heartbeat: EventParts = { type: E.HEARTBEAT, body: Buffer.from('binlog.000001') };
    const stream = new Stream().read(gtid(1), BEGIN, heartbeat, ...rows(1), xid());
    expect(stream.told.said).toEqual(['table t', 'c t 1 in :1', 'commit :1']);
    stream.read(heartbeat);
    expect(stream.told.said.at(-1)).toMatch(/^idle binlog.000001:\d+$/);
  });
});

describe('positions', () => {
  test('count on beyond 4 GiB, where headers begin anew', () => {
    const stream = new Stream();
    const giga = 2 ** 32;
    const big = { ...gtid(1), stated: giga - 100 };
    stream.read(big, { ...BEGIN, stated: giga - 10 });
    stream.read({ ...tableMap(9, 't'), stated: 70 }, { ...insert(9, 1), stated: 0 }, { ...insert(9, 2), stated: 200 });
    stream.read({ ...xid(), stated: 231 });
    const [transaction] = stream.told.transactions;
    expect(transaction?.position).toBe(giga - 100 - 72);
    expect(transaction?.endPosition).toBe(giga + 231);
    const size = event(insert(9, 1)).length;
    expect(stream.told.positions).toEqual([giga + 70, giga + 200 - size]);
    stream.read(
      { ...gtid(2), stated: 300 },
      { ...BEGIN, stated: 2 ** 31 },
      { ...insert(9, 3), stated: 5 },
      { ...xid(), stated: 40 },
    );
    expect(stream.reader.coordinates.position).toBe(2 * giga + 40);
  });

  test('count by size where a server states none, and by what is stated where it sends not all', () => {
    const stream = new Stream().read({ ...gtid(1), stated: 1000 }, { ...BEGIN, stated: 0 });
    expect(stream.reader.coordinates.position).toBe(1000 + event(BEGIN).length);
    stream.read({ ...tableMap(9, 't'), stated: 5000 });
    expect(stream.reader.coordinates).toEqual({ file: 'binlog.000001', position: 5000 });
  });

  test('do not move with what the server makes up', () => {
    const stream = new Stream().read({ ...gtid(1), stated: 1000 }, { ...query('COMMIT'), stated: 1100 });
    stream.read({ ...format(true), stated: 0 }, { type: 163, body: Buffer.alloc(4), flags: 0x20, stated: 700 });
    expect(stream.reader.coordinates.position).toBe(1100);
  });
});

describe('what cannot be read stops', () => {
  test('a flipped bit anywhere in a captured event', () => {
    const good = event({ ...insert(9, 1, 2, 3), stated: 0 });
    for (let bit = 0; bit < good.length * 8; bit += 7) {
      const bad = Buffer.from(good);
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      const stream = new Stream().read(gtid(1), BEGIN, tableMap(9, 't'));
      expect(errorOf(() => stream.bytes(bad)).message).toMatch(/checksum|another length/);
      expect(stream.told.said).toEqual(['table t']);
    }
  });

  test('unless there are no checksums, from one file to the next', () => {
    const stream = new Stream();
    stream.read(format(false));
    const plain = (parts: EventParts): EventParts => ({ ...parts, checksum: false });
    stream.read(
      ...[gtid(1), BEGIN, ...rows(1), xid()].map(plain),
      plain(format(true)).checksum === false ? format(true) : xid(),
    );
    stream.read(gtid(2), BEGIN, ...rows(2), xid());
    expect(stream.told.said).toEqual(['table t', 'c t 1 in :1', 'commit :1', 'table t', 'c t 2 in :2', 'commit :2']);
    expect(errorOf(() => stream.read(plain(xid()))).message).toContain('checksum');
  });

  test.each([
    [E.INCIDENT, 'the server reports an incident: changes are missing', 4],
    [E.EXECUTE_LOAD_QUERY, 'LOAD DATA as a statement', 1],
    [20, 'binlog event type 20 is not known', 1],
    [99, 'binlog event type 99 is not known', 1],
    [172, 'binlog event type 172 is not known', 1],
  ])('event type %i, with file and position', (type, message, exitCode) => {
    const stream = new Stream().read(gtid(1));
    const error = errorOf(() => stream.read({ type, body: Buffer.alloc(8) }));
    expect(error.message).toContain(message);
    expect(error.message).toMatch(new RegExp(`\\(at binlog.000001:\\d+, event type ${type}\\)$`));
    expect(error.exitCode).toBe(exitCode);
    expect(error.kind).toBe('fatal');
    expect(error.hint).toBeTruthy();
  });

  test('not what says that it may be passed over, nor what holds no changes', () => {
    const stream = new Stream().read({ type: 99, body: Buffer.alloc(8), flags: 0x80 });
    for (const type of [E.STOP, E.INTVAR, E.ROWS_QUERY, E.MARIADB_ANNOTATE_ROWS, E.MARIADB_START_ENCRYPTION]) {
      stream.read({ type, body: Buffer.alloc(8) });
    }
    expect(stream.told.said).toEqual([]);
  });

  test.each<[string, EventParts[]]>([
    ['an XID with more bytes', [{ type: E.XID, body: Buffer.alloc(9) }]],
    [
      'an XA PREPARE with more bytes',
      [query("XA START X'61',X'',1"), { ...xaPrepare('a'), body: Buffer.concat([xaPrepare('a').body, Buffer.of(0)]) }],
    ],
    ['a query that is cut off', [{ ...query('x'), body: query('x').body.subarray(0, 12) }]],
    ['rows outside of their bitmaps', [tableMap(9, 't'), { ...insert(9), body: insert(9).body.subarray(0, 11) }]],
    [
      'a format that is not version 4',
      [{ ...format(true), body: Buffer.concat([Buffer.of(3), format(true).body.subarray(1)]) }],
    ],
  ])('%s', (_, events) => {
    expect(errorOf(() => new Stream().read(gtid(1), BEGIN, ...events)).message).toMatch(/binlog/);
  });

  test('statements in place of rows, for captured tables or where the table cannot be told', () => {
    for (const sql of [
      'INSERT INTO t VALUES (1)',
      'replace s.t set id = 1',
      '/* c */ UPDATE `t` SET id = 2',
      'DELETE FROM t',
      'DELETE a FROM other a',
      'LOAD DATA INFILE x',
    ]) {
      expect(errorOf(() => said(gtid(1), BEGIN, query(sql))).message, sql).toContain('statement instead of the rows');
    }
    expect(said(gtid(1), BEGIN, query('INSERT INTO other VALUES (1)'), xid())).toEqual(['commit :1']);
  });
});

describe('compressed transactions', () => {
  const inner = (...events: EventParts[]): Buffer =>
    Buffer.concat(events.map((parts) => event({ ...parts, checksum: false })));
  const content = inner(BEGIN, ...rows(1, 2), ...rows(3), xid());
  const ordinals = [...rows(1, 2), ...rows(3)]; // where each image stands in the payload
  const first = inner(BEGIN, ordinals[0] as EventParts).length + 31;
  const second = inner(BEGIN, ...ordinals.slice(0, 3)).length + 31;

  test.each<[string, EventParts]>([
    ['in one block', payload(zstdFrame([{ raw: content }]), content.length)],
    [
      'in blocks that end anywhere',
      payload(zstdFrame([...content].map((byte) => ({ raw: Buffer.of(byte) }))), content.length),
    ],
    [
      'in several frames, skippable ones between',
      payload(
        Buffer.concat([
          zstdFrame([{ raw: content.subarray(0, 50) }]),
          Buffer.from('502a4d18030000000102ff', 'hex').subarray(0, 11),
          zstdFrame([{ raw: content.subarray(50) }]),
        ]),
        content.length,
      ),
    ],
    ['not compressed', payload(content, content.length, 255)],
  ])('%s tell their rows at the position of the whole, ordinals by offset in the content', (_, parts) => {
    const stream = new Stream().read(gtid(1), parts, gtid(2), BEGIN, ...rows(4), xid());
    const from = event(rotate('')).length - 8 + event(format(true)).length;
    expect(stream.told.said).toEqual([
      'table t',
      'c t 1,2 in :1',
      'c t 3 in :1',
      'commit :1',
      'c t 4 in :2',
      'commit :2',
    ]);
    expect(stream.told.ordinals.slice(0, 3)).toEqual([first, first + 5, second]);
    const [one, other, after] = stream.told.positions as [number, number, number];
    expect(one).toBe(other);
    expect(one).toBe((stream.told.transactions[0]?.position as number) + event(gtid(1)).length);
    expect(after).toBeGreaterThan(one);
    expect(from).toBeGreaterThan(0);
    expect(stream.told.transactions[0]?.endPosition).toBe(one + event(parts).length);
  });

  test('come out step by step: no more is decompressed than has been asked for', () => {
    // A row of 100 bytes a thousand times over a small frame; each step tells one event at most.
    const many = Buffer.concat([
      inner(BEGIN, tableMap(9, 't')),
      ...Array.from({ length: 2000 }, (_, i) => inner(insert(9, i))),
    ]);
    const blocks = Array.from({ length: Math.ceil(many.length / 1000) }, (_, i) => ({
      raw: many.subarray(i * 1000, i * 1000 + 1000),
    }));
    const stream = new Stream().read(gtid(1));
    const bytes = event({ ...payload(zstdFrame(blocks), many.length), stated: 0 });
    const steps = stream.reader.read(bytes, 0, bytes.length);
    for (let i = 0; i < 100; i++) steps?.next();
    expect(stream.told.said.filter((line) => line.startsWith('c t'))).toHaveLength(98);
    for (const _ of steps ?? []);
    expect(stream.told.said.filter((line) => line.startsWith('c t'))).toHaveLength(2000);
  });

  test.each<[string, EventParts]>([
    ['are cut off', payload(zstdFrame([{ raw: content }]).subarray(0, 60), content.length)],
    ['are no zstd', payload(Buffer.from('not a zstd frame at all'), content.length)],
    ['hold less than they say', payload(zstdFrame([{ raw: content }]), content.length + 1)],
    ['hold more than they say', payload(zstdFrame([{ raw: content }]), content.length - 1)],
    [
      'have bytes behind their last event',
      payload(zstdFrame([{ raw: Buffer.concat([content, Buffer.of(1)]) }]), content.length),
    ],
    ['end within an event', payload(zstdFrame([{ raw: content.subarray(0, -1) }]), content.length - 1)],
    ['are not compressed and end within an event', payload(content.subarray(0, -1), content.length - 1, 255)],
    ['grow without end', payload(zstdFrame(Array.from({ length: 50 }, () => ({ repeated: 0, times: 131072 }))), 100)],
    ['have a block larger than blocks may be', payload(zstdFrame([{ repeated: 0, times: 131073 }]), 200_000)],
    ['want a window of 128 MiB', payload(zstdFrame([{ raw: content }], 27), content.length)],
    ['want a window of terabytes', payload(zstdFrame([{ raw: content }], 41), content.length)],
    ['are compressed by an unknown method', payload(content, content.length, 3)],
    [
      'hold themselves',
      payload(zstdFrame([{ raw: inner(payload(content, 9, 255)) }]), inner(payload(content, 9, 255)).length),
    ],
    ['hold a GTID', payload(zstdFrame([{ raw: inner(gtid(3)) }]), inner(gtid(3)).length)],
    ['hold an event that says it is endless', payload(zstdFrame([{ raw: Buffer.alloc(40, 0xff) }]), 40)],
    ['have a header that makes no sense', { type: E.TRANSACTION_PAYLOAD, body: Buffer.of(9, 1, 0, 0) }],
    ['have a field longer than its value', { type: E.TRANSACTION_PAYLOAD, body: Buffer.of(2, 2, 0, 0, 0) }],
  ])('that %s stop, clearly and at once', (_, parts) => {
    const stream = new Stream().read(gtid(1));
    const from = Date.now();
    expect(errorOf(() => stream.read(parts)).message).toMatch(
      /^(a compressed transaction|a transaction is compressed|a field of a compressed).*\(at binlog.000001:\d+, event type 40\)$/,
    );
    expect(Date.now() - from).toBeLessThan(1000);
    expect(stream.told.transactions).toEqual([]);
  });

  test('with Huffman weights that have no end stop instead of hanging', () => {
    // A compressed block whose weights come from an FSE table of one symbol: accuracy 5, probability 32 at once.
    const tree = Buffer.from([0x04, 0xf0, 0x03, 0xff]);
    const block = Buffer.concat([Buffer.from([0x02, 0x40, 0x01]), tree, Buffer.alloc(8, 0xff)]);
    const header = Buffer.alloc(3);
    header.writeUIntLE(1 | (2 << 1) | (block.length << 3), 0, 3);
    const frame = Buffer.concat([Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3), header, block]);
    const error = errorOf(() => new Stream().read(gtid(1), payload(frame, 1000)));
    expect(error.why).toBe('its Huffman weights have no end');
  });
});

describe('XA transactions', () => {
  const start = query("XA START X'61',X'',1");
  const end = query("XA END X'61',X'',1");
  const commit = query("XA COMMIT X'61',X'',1");

  test('tell their rows with XA COMMIT, at its position and with its GTID', () => {
    const stream = new Stream().read(gtid(1), start, ...rows(1, 2), ...rows(3), end, xaPrepare('a'));
    stream.read(gtid(2), BEGIN, ...rows(4), xid(), gtid(3), commit);
    expect(stream.told.said).toEqual([
      'table t',
      'prepared :1',
      'c t 4 in :2',
      'commit :2',
      'c t 1,2 in :3',
      'c t 3 in :3',
      'commit :3',
    ]);
    expect(stream.told.transactions[1]?.preparedTransaction?.gtid.slice(-2)).toBe(':1');
    expect(stream.told.positions[1]).toBe(stream.told.positions[2]);
    expect(stream.told.positions[1]).toBeGreaterThan(stream.told.positions[0] as number);
    const [, one, two, three] = stream.told.ordinals as [number, number, number, number];
    expect(two - one).toBe(5);
    expect(three).toBeGreaterThan(two);
  });

  test('tell nothing when they are rolled back, before or after XA PREPARE, or to a savepoint', () => {
    expect(
      said(gtid(1), start, ...rows(1), end, xaPrepare('a'), gtid(2), query("XA ROLLBACK X'61',X'',1")).slice(1),
    ).toEqual(['prepared :1', 'commit :2']);
    expect(said(gtid(1), start, ...rows(1), query('ROLLBACK')).slice(1)).toEqual(['rollback', 'commit :1']);
    expect(
      said(
        gtid(1),
        start,
        ...rows(1),
        query('SAVEPOINT `s`'),
        ...rows(2),
        query('ROLLBACK TO `s`'),
        end,
        xaPrepare('a', true),
      ).slice(1),
    ).toEqual(['c t 1 in :1', 'commit :1']);
  });

  test('of MariaDB begin with a flag of their GTID', () => {
    const stream = new Stream().read(
      mariadbGtid(5, 0x4c),
      ...rows(1),
      end,
      xaPrepare('a'),
      mariadbGtid(6, 0x8d),
      commit,
    );
    expect(stream.told.said.slice(1)).toEqual(['prepared -5', 'c t 1 in -6', 'commit -6']);
  });

  test('may be compressed as any other', () => {
    const content = Buffer.concat(
      [start, ...rows(1), end, xaPrepare('a')].map((parts) => event({ ...parts, checksum: false })),
    );
    const stream = new Stream().read(gtid(1), payload(zstdFrame([{ raw: content }]), content.length), gtid(2), commit);
    expect(stream.told.said.slice(1)).toEqual(['prepared :1', 'c t 1 in :2', 'commit :2']);
  });

  test('whose rows are more than may be kept stop, and say which are prepared', () => {
    const stream = new Stream({ xaBufferBytes: 3000 });
    stream.read(gtid(1), start, ...rows(1), end, xaPrepare('a'), gtid(2), query("XA START X'62',X'',1"));
    const error = errorOf(() => {
      for (let i = 0; i < 10; i++) stream.read(...rows(i));
    });
    expect(error.message).toContain('hold more than 3000 bytes');
    expect(error.why).toContain("X'61',X'',1");
  });

  test('give their room back when they end', () => {
    const stream = new Stream({ xaBufferBytes: 3000 });
    for (let i = 1; i < 200; i += 2) {
      stream.read(gtid(i), start, ...rows(1, 2), query('SAVEPOINT `s`'), ...rows(3), query('ROLLBACK TO `s`'), end);
      stream.read(xaPrepare('a'), gtid(i + 1), i % 4 === 1 ? commit : query("XA ROLLBACK X'61',X'',1"));
    }
    expect(stream.told.transactions).toHaveLength(100);
  });

  test('that were prepared before the stream began are looked for, and stop it if they are nowhere', async () => {
    const parked = new BufferedXaRows<{ bytes: Buffer; schema: string; name: string; handle: string | undefined }>();
    const asked: unknown[] = [];
    const found = new Stream({
      findPreparedXa: async (name, before) => {
        asked.push(name, before);
        return parked;
      },
    });
    found.read(gtid(1));
    const bytes = event({ ...commit, stated: 0 });
    const steps = found.reader.read(bytes, 0, bytes.length);
    await steps?.next().value;
    for (const _ of steps ?? []);
    expect(asked).toEqual(["X'61',X'',1", { file: 'binlog.000001', position: expect.any(Number) }]);
    expect(found.told.said).toEqual(['commit :1']);
    const error = errorOf(() => new Stream().read(gtid(1), commit));
    expect(error.message).toContain("the rows of the XA transaction X'61',X'',1 are in no binlog that is left");
    expect(error.exitCode).toBe(4);
    // Rolling it back is nothing to us.
    expect(said(gtid(1), query("XA ROLLBACK X'61',X'',1"))).toEqual(['commit :1']);
  });
});

describe('compressed events of MariaDB', () => {
  const deflated = (bytes: Buffer): Buffer => {
    const packed = deflateSync(bytes);
    return Buffer.concat([Buffer.of(0x82, bytes.length >> 8, bytes.length & 255), packed]);
  };
  const packedInsert = (id: number, ...values: number[]): EventParts => {
    const { body } = insert(id, ...values);
    // Version 1 has no extra data in its header.
    return {
      type: 166,
      body: Buffer.concat([body.subarray(0, 8), body.subarray(10, 12), deflated(body.subarray(12))]),
    };
  };

  test('hold the rows that they say, ordinals by offset in what is inflated', () => {
    const stream = new Stream().read(mariadbGtid(1, 0), tableMap(9, 't'), packedInsert(9, 7, 8), xid());
    expect(stream.told.said).toEqual(['table t', 'c t 7,8 in -1', 'commit -1']);
    expect(stream.told.ordinals).toEqual([29, 34]);
  });

  test('hold statements', () => {
    const plain = query('TRUNCATE TABLE t');
    const at = plain.body.length - 'TRUNCATE TABLE t'.length;
    const packed = { type: 165, body: Buffer.concat([plain.body.subarray(0, at), deflated(plain.body.subarray(at))]) };
    expect(said(mariadbGtid(1, 1), packed)).toEqual(['truncate s.t', 'commit -1']);
  });

  test.each<[string, (body: Buffer) => Buffer]>([
    ['more than they say', (body) => Buffer.concat([body.subarray(0, 12), Buffer.of(3), body.subarray(13)])],
    ['another method', (body) => Buffer.concat([body.subarray(0, 10), Buffer.of(0x92), body.subarray(11)])],
    ['bytes behind their stream', (body) => Buffer.concat([body, Buffer.of(0)])],
    ['half a stream', (body) => body.subarray(0, -6)],
    ['nothing', (body) => body.subarray(0, 10)],
  ])('that hold %s stop', (_, damage) => {
    const stream = new Stream().read(mariadbGtid(1, 0), tableMap(9, 't'));
    const { type, body } = packedInsert(9, 7, 8);
    expect(errorOf(() => stream.read({ type, body: damage(body) })).message).toMatch(/compressed event|shorter than/);
  });
});

test('lengths are written as the server writes them', () => {
  expect(lenenc(255).toString('hex')).toBe('fcff00');
});
