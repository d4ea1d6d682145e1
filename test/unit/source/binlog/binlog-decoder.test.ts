import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { CdcError } from '../../../../src/runtime/error.ts';
import type { TableMapEntry } from '../../../../src/source/binlog/binlog-handler.ts';
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
const callsOf = (...events: EventParts[]): string[] => new Stream().read(...events).handler.calls;

/** The error that `run` throws. */
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
  test('a transaction arrives with its rows, and a table version once', () => {
    expect(
      callsOf(gtid(1), BEGIN, ...rows(1, 2), ...rows(3), xid(), gtid(2), BEGIN, ...rows(4), query('COMMIT')),
    ).toEqual(['table t', 'c t 1,2 in :1', 'c t 3 in :1', 'commit :1', 'c t 4 in :2', 'commit :2']);
  });

  test('one statement without BEGIN commits by itself, and rows of other tables are left out', () => {
    expect(
      callsOf(gtid(1), query('CREATE TABLE x (id INT)'), gtid(2), BEGIN, tableMap(9, 'other'), insert(9, 1), xid()),
    ).toEqual(['CREATE TABLE: created s.x, columns s.x', 'commit :1', 'commit :2']);
  });

  test('a transaction that a crash of the server cut off is rolled back', () => {
    const stream = new Stream().read(gtid(1), BEGIN, ...rows(1));
    stream.read(rotate('binlog.000002'), format(true), gtid(1), BEGIN, ...rows(2), xid());
    expect(stream.handler.calls).toEqual(['table t', 'c t 1 in :1', 'rollback', 'table t', 'c t 2 in :1', 'commit :1']);
  });

  test('savepoints and rollbacks to them have names without quotes, in lower case', () => {
    expect(
      callsOf(gtid(1), BEGIN, query('SAVEPOINT `A``b c`'), ...rows(1), query('ROLLBACK TO `a``B C`'), xid()),
    ).toEqual(['savepoint a`b c', 'table t', 'c t 1 in :1', 'rollback to a`b c', 'commit :1']);
  });

  test('a transaction that ends in ROLLBACK is rolled back and counts as done', () => {
    expect(callsOf(gtid(1), BEGIN, ...rows(1), query('ROLLBACK')).slice(2)).toEqual(['rollback', 'commit :1']);
  });

  test('another table map changes the table of an id, and the file of a restarted server forgets all ids', () => {
    const stream = new Stream().read(gtid(1), BEGIN, ...rows(1), tableMap(9, 'u'), insert(9, 2), xid());
    expect(stream.handler.calls.slice(2, 4)).toEqual(['table u', 'c u 2 in :1']);
    stream.read(rotate('binlog.000002'), format(true), gtid(2), BEGIN);
    expect(errorOf(() => stream.read(insert(9, 3))).message).toMatch('names table id 9, which no table map');
  });

  test('a heartbeat is reported only between transactions', () => {
    const heartbeat: EventParts = { type: E.HEARTBEAT, body: Buffer.from('binlog.000001') };
    const stream = new Stream().read(gtid(1), BEGIN, heartbeat, ...rows(1), xid());
    expect(stream.handler.calls).toEqual(['table t', 'c t 1 in :1', 'commit :1']);
    stream.read(heartbeat);
    expect(stream.handler.calls.at(-1)).toMatch(/^heartbeat binlog.000001:\d+$/);
  });
});

describe('positions', () => {
  test('positions continue beyond 4 GiB, where the 32 bits of the header start again', () => {
    const stream = new Stream();
    const giga = 2 ** 32;
    const big = { ...gtid(1), endPosition: giga - 100 };
    stream.read(big, { ...BEGIN, endPosition: giga - 10 });
    stream.read(
      { ...tableMap(9, 't'), endPosition: 70 },
      { ...insert(9, 1), endPosition: 0 },
      { ...insert(9, 2), endPosition: 200 },
    );
    stream.read({ ...xid(), endPosition: 231 });
    const [transaction] = stream.handler.transactions;
    expect(transaction?.position).toBe(giga - 100 - 72);
    expect(transaction?.endPosition).toBe(giga + 231);
    const size = event(insert(9, 1)).length;
    expect(stream.handler.positions).toEqual([giga + 70, giga + 200 - size]);
    stream.read(
      { ...gtid(2), endPosition: 300 },
      { ...BEGIN, endPosition: 2 ** 31 },
      { ...insert(9, 3), endPosition: 5 },
      { ...xid(), endPosition: 40 },
    );
    expect(stream.decoder.coordinates.position).toBe(2 * giga + 40);
  });

  test('positions follow the event sizes if the header has none, and the header if the server skips events', () => {
    const stream = new Stream().read({ ...gtid(1), endPosition: 1000 }, { ...BEGIN, endPosition: 0 });
    expect(stream.decoder.coordinates.position).toBe(1000 + event(BEGIN).length);
    stream.read({ ...tableMap(9, 't'), endPosition: 5000 });
    expect(stream.decoder.coordinates).toEqual({ file: 'binlog.000001', position: 5000 });
  });

  test('artificial events do not move the position', () => {
    const stream = new Stream().read({ ...gtid(1), endPosition: 1000 }, { ...query('COMMIT'), endPosition: 1100 });
    stream.read(
      { ...format(true), endPosition: 0 },
      { type: 163, body: Buffer.alloc(4), flags: 0x20, endPosition: 700 },
    );
    expect(stream.decoder.coordinates.position).toBe(1100);
  });
});

describe('events that cannot be read', () => {
  test('a flipped bit anywhere in a captured event stops the stream', () => {
    const good = event({ ...insert(9, 1, 2, 3), endPosition: 0 });
    for (let bit = 0; bit < good.length * 8; bit += 7) {
      const bad = Buffer.from(good);
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      const stream = new Stream().read(gtid(1), BEGIN, tableMap(9, 't'));
      expect(errorOf(() => stream.bytes(bad)).message).toMatch(/checksum|length of a binlog event differs/);
      expect(stream.handler.calls).toEqual(['table t']);
    }
  });

  test('checksums can change from one file to the next', () => {
    const stream = new Stream();
    stream.read(format(false));
    const plain = (parts: EventParts): EventParts => ({ ...parts, checksum: false });
    stream.read(
      ...[gtid(1), BEGIN, ...rows(1), xid()].map(plain),
      plain(format(true)).checksum === false ? format(true) : xid(),
    );
    stream.read(gtid(2), BEGIN, ...rows(2), xid());
    expect(stream.handler.calls).toEqual([
      'table t',
      'c t 1 in :1',
      'commit :1',
      'table t',
      'c t 2 in :2',
      'commit :2',
    ]);
    expect(errorOf(() => stream.read(plain(xid()))).message).toContain('checksum');
  });

  test.each([
    [E.INCIDENT, 'the server reports an incident: changes are missing', 4],
    [20, 'binlog event type 20 is unknown', 1],
    [99, 'binlog event type 99 is unknown', 1],
    [172, 'binlog event type 172 is unknown', 1],
  ])('event type %i stops the stream with file and position', (type, message, exitCode) => {
    const stream = new Stream().read(gtid(1));
    const error = errorOf(() => stream.read({ type, body: Buffer.alloc(8) }));
    expect(error.message).toContain(message);
    expect(error.message).toMatch(new RegExp(`\\(at binlog.000001:\\d+, event type ${type}\\)$`));
    expect(error.exitCode).toBe(exitCode);
    expect(error.kind).toBe('fatal');
    expect(error.hint).toBeTruthy();
  });

  test('ignorable events and events without changes do not stop the stream', () => {
    const stream = new Stream().read({ type: 99, body: Buffer.alloc(8), flags: 0x80 });
    for (const type of [E.STOP, E.INTVAR, E.ROWS_QUERY, E.MARIADB_ANNOTATE_ROWS, E.MARIADB_START_ENCRYPTION]) {
      stream.read({ type, body: Buffer.alloc(8) });
    }
    expect(stream.handler.calls).toEqual([]);
  });

  test.each<[string, EventParts[]]>([
    ['an XID with more bytes', [{ type: E.XID, body: Buffer.alloc(9) }]],
    [
      'an XA PREPARE with more bytes',
      [query("XA START X'61',X'',1"), { ...xaPrepare('a'), body: Buffer.concat([xaPrepare('a').body, Buffer.of(0)]) }],
    ],
    ['an incomplete query', [{ ...query('x'), body: query('x').body.subarray(0, 12) }]],
    [
      'a rows event that ends inside its bitmaps',
      [tableMap(9, 't'), { ...insert(9), body: insert(9).body.subarray(0, 11) }],
    ],
    [
      'a binlog format other than version 4',
      [{ ...format(true), body: Buffer.concat([Buffer.of(3), format(true).body.subarray(1)]) }],
    ],
  ])('%s stops the stream', (_, events) => {
    expect(errorOf(() => new Stream().read(gtid(1), BEGIN, ...events)).message).toMatch(/binlog/);
  });

  test('a statement instead of rows stops the stream if its table is captured or unknown', () => {
    for (const sql of [
      'INSERT INTO t VALUES (1)',
      'replace s.t set id = 1',
      '/* c */ UPDATE `t` SET id = 2',
      'DELETE FROM t',
      'DELETE a FROM other a',
      'LOAD DATA INFILE "x" INTO TABLE t',
      'LOAD DATA INFILE x',
    ]) {
      expect(errorOf(() => callsOf(gtid(1), BEGIN, query(sql))).message, sql).toContain(
        'statement instead of the rows',
      );
    }
    expect(callsOf(gtid(1), BEGIN, query('INSERT INTO other VALUES (1)'), xid())).toEqual(['commit :1']);
  });
});

describe('compressed transactions', () => {
  const inner = (...events: EventParts[]): Buffer =>
    Buffer.concat(events.map((parts) => event({ ...parts, checksum: false })));
  const content = inner(BEGIN, ...rows(1, 2), ...rows(3), xid());
  const embedded = [...rows(1, 2), ...rows(3)];
  // The offsets of the first image of each rows event in the payload.
  const first = inner(BEGIN, embedded[0] as EventParts).length + 31;
  const second = inner(BEGIN, ...embedded.slice(0, 3)).length + 31;

  test.each<[string, EventParts]>([
    ['a transaction in one block', payload(zstdFrame([{ raw: content }]), content.length)],
    [
      'a transaction in blocks that end anywhere',
      payload(zstdFrame([...content].map((byte) => ({ raw: Buffer.of(byte) }))), content.length),
    ],
    [
      'a transaction in several frames with skippable frames between them',
      payload(
        Buffer.concat([
          zstdFrame([{ raw: content.subarray(0, 50) }]),
          Buffer.from('502a4d18030000000102ff', 'hex').subarray(0, 11),
          zstdFrame([{ raw: content.subarray(50) }]),
        ]),
        content.length,
      ),
    ],
    ['a transaction that is not compressed', payload(content, content.length, 255)],
  ])('the rows of %s have the position of the payload event, and ordinals by offset in its content', (_, parts) => {
    const stream = new Stream().read(gtid(1), parts, gtid(2), BEGIN, ...rows(4), xid());
    const from = event(rotate('')).length - 8 + event(format(true)).length;
    expect(stream.handler.calls).toEqual([
      'table t',
      'c t 1,2 in :1',
      'c t 3 in :1',
      'commit :1',
      'c t 4 in :2',
      'commit :2',
    ]);
    expect(stream.handler.ordinals.slice(0, 3)).toEqual([first, first + 5, second]);
    const [one, other, after] = stream.handler.positions as [number, number, number];
    expect(one).toBe(other);
    expect(one).toBe((stream.handler.transactions[0]?.position as number) + event(gtid(1)).length);
    expect(after).toBeGreaterThan(one);
    expect(from).toBeGreaterThan(0);
    expect(stream.handler.transactions[0]?.endPosition).toBe(one + event(parts).length);
  });

  test('a transaction is decompressed step by step, no further than its steps were taken', () => {
    // Each step handles at most one event.
    const many = Buffer.concat([
      inner(BEGIN, tableMap(9, 't')),
      ...Array.from({ length: 2000 }, (_, i) => inner(insert(9, i))),
    ]);
    const blocks = Array.from({ length: Math.ceil(many.length / 1000) }, (_, i) => ({
      raw: many.subarray(i * 1000, i * 1000 + 1000),
    }));
    const stream = new Stream().read(gtid(1));
    const bytes = event({ ...payload(zstdFrame(blocks), many.length), endPosition: 0 });
    const steps = stream.decoder.read(bytes, 0, bytes.length);
    for (let i = 0; i < 100; i++) steps?.next();
    expect(stream.handler.calls.filter((line) => line.startsWith('c t'))).toHaveLength(98);
    for (const _ of steps ?? []);
    expect(stream.handler.calls.filter((line) => line.startsWith('c t'))).toHaveLength(2000);
  });

  test.each<[string, EventParts]>([
    ['an incomplete frame', payload(zstdFrame([{ raw: content }]).subarray(0, 60), content.length)],
    ['bytes that are not zstd', payload(Buffer.from('not a zstd frame at all'), content.length)],
    ['fewer bytes than its header says', payload(zstdFrame([{ raw: content }]), content.length + 1)],
    ['more bytes than its header says', payload(zstdFrame([{ raw: content }]), content.length - 1)],
    [
      'bytes after its last event',
      payload(zstdFrame([{ raw: Buffer.concat([content, Buffer.of(1)]) }]), content.length),
    ],
    ['an incomplete last event', payload(zstdFrame([{ raw: content.subarray(0, -1) }]), content.length - 1)],
    ['an incomplete last event, not compressed', payload(content.subarray(0, -1), content.length - 1, 255)],
    ['endless content', payload(zstdFrame(Array.from({ length: 50 }, () => ({ repeated: 0, times: 131072 }))), 100)],
    ['a block larger than allowed', payload(zstdFrame([{ repeated: 0, times: 131073 }]), 200_000)],
    ['a window of 128 MiB', payload(zstdFrame([{ raw: content }], 27), content.length)],
    ['a window of terabytes', payload(zstdFrame([{ raw: content }], 41), content.length)],
    ['an unknown compression method', payload(content, content.length, 3)],
    [
      'a compressed transaction inside',
      payload(zstdFrame([{ raw: inner(payload(content, 9, 255)) }]), inner(payload(content, 9, 255)).length),
    ],
    ['a GTID event inside', payload(zstdFrame([{ raw: inner(gtid(3)) }]), inner(gtid(3)).length)],
    ['an embedded event with an invalid length', payload(zstdFrame([{ raw: Buffer.alloc(40, 0xff) }]), 40)],
    ['an invalid header', { type: E.TRANSACTION_PAYLOAD, body: Buffer.of(9, 1, 0, 0) }],
    ['a header field longer than its value', { type: E.TRANSACTION_PAYLOAD, body: Buffer.of(2, 2, 0, 0, 0) }],
  ])('a transaction with %s stops the stream at once', (_, parts) => {
    const stream = new Stream().read(gtid(1));
    const from = process.cpuUsage();
    expect(errorOf(() => stream.read(parts)).message).toMatch(
      /^(a compressed transaction|a transaction is compressed|a field of a compressed).*\(at binlog.000001:\d+, event type 40\)$/,
    );
    // Its own time of the processor: a busy machine cannot delay it.
    expect(process.cpuUsage(from).user).toBeLessThan(1_000_000);
    expect(stream.handler.transactions).toEqual([]);
  });

  test('a transaction with endless Huffman weights stops the stream instead of hanging', () => {
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

  test('the rows of an XA transaction arrive with XA COMMIT, at its position and with its GTID', () => {
    const stream = new Stream().read(gtid(1), start, ...rows(1, 2), ...rows(3), end, xaPrepare('a'));
    stream.read(gtid(2), BEGIN, ...rows(4), xid(), gtid(3), commit);
    expect(stream.handler.calls).toEqual([
      'table t',
      'prepared :1',
      'c t 4 in :2',
      'commit :2',
      'c t 1,2 in :3',
      'c t 3 in :3',
      'commit :3',
    ]);
    expect(stream.handler.transactions[1]?.preparedTransaction?.gtid.slice(-2)).toBe(':1');
    expect(stream.handler.positions[1]).toBe(stream.handler.positions[2]);
    expect(stream.handler.positions[1]).toBeGreaterThan(stream.handler.positions[0] as number);
    const [, one, two, three] = stream.handler.ordinals as [number, number, number, number];
    expect(two - one).toBe(5);
    expect(three).toBeGreaterThan(two);
  });

  test('an XA transaction emits no rows that are rolled back, before or after XA PREPARE or to a savepoint', () => {
    expect(
      callsOf(gtid(1), start, ...rows(1), end, xaPrepare('a'), gtid(2), query("XA ROLLBACK X'61',X'',1")).slice(1),
    ).toEqual(['prepared :1', 'commit :2']);
    expect(callsOf(gtid(1), start, ...rows(1), query('ROLLBACK')).slice(1)).toEqual(['rollback', 'commit :1']);
    expect(
      callsOf(
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

  test('an XA transaction of MariaDB begins with a flag of its GTID', () => {
    const stream = new Stream().read(
      mariadbGtid(5, 0x4c),
      ...rows(1),
      end,
      xaPrepare('a'),
      mariadbGtid(6, 0x8d),
      commit,
    );
    expect(stream.handler.calls.slice(1)).toEqual(['prepared -5', 'c t 1 in -6', 'commit -6']);
  });

  test('an XA transaction can be compressed', () => {
    const content = Buffer.concat(
      [start, ...rows(1), end, xaPrepare('a')].map((parts) => event({ ...parts, checksum: false })),
    );
    const stream = new Stream().read(gtid(1), payload(zstdFrame([{ raw: content }]), content.length), gtid(2), commit);
    expect(stream.handler.calls.slice(1)).toEqual(['prepared :1', 'c t 1 in :2', 'commit :2']);
  });

  test('more buffered rows than allowed stop the stream, and the error names the prepared transactions', () => {
    const stream = new Stream({ xaBufferBytes: 3000 });
    stream.read(gtid(1), start, ...rows(1), end, xaPrepare('a'), gtid(2), query("XA START X'62',X'',1"));
    const error = errorOf(() => {
      for (let i = 0; i < 10; i++) stream.read(...rows(i));
    });
    expect(error.message).toContain('have more than 3000 bytes of rows');
    expect(error.why).toContain("X'61',X'',1");
  });

  test('the end of an XA transaction frees its part of the buffer', () => {
    const stream = new Stream({ xaBufferBytes: 3000 });
    for (let i = 1; i < 200; i += 2) {
      stream.read(gtid(i), start, ...rows(1, 2), query('SAVEPOINT `s`'), ...rows(3), query('ROLLBACK TO `s`'), end);
      stream.read(xaPrepare('a'), gtid(i + 1), i % 4 === 1 ? commit : query("XA ROLLBACK X'61',X'',1"));
    }
    expect(stream.handler.transactions).toHaveLength(100);
  });

  test('an XA transaction prepared before the stream is searched in older binlogs, and stops the stream if none has it', async () => {
    const buffered = new BufferedXaRows<TableMapEntry<string>>();
    const asked: unknown[] = [];
    const found = new Stream({
      findPreparedXa: async (name, before) => {
        asked.push(name, before);
        return buffered;
      },
    });
    found.read(gtid(1));
    const bytes = event({ ...commit, endPosition: 0 });
    const steps = found.decoder.read(bytes, 0, bytes.length);
    await steps?.next().value;
    for (const _ of steps ?? []);
    expect(asked).toEqual(["X'61',X'',1", { file: 'binlog.000001', position: expect.any(Number) }]);
    expect(found.handler.calls).toEqual(['commit :1']);
    const error = errorOf(() => new Stream().read(gtid(1), commit));
    expect(error.message).toContain("no binlog has the rows of the XA transaction X'61',X'',1 any more");
    expect(error.exitCode).toBe(4);
    // A rollback needs no rows.
    expect(callsOf(gtid(1), query("XA ROLLBACK X'61',X'',1"))).toEqual(['commit :1']);
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

  test('a compressed rows event has its rows, with ordinals by offset in the inflated bytes', () => {
    const stream = new Stream().read(mariadbGtid(1, 0), tableMap(9, 't'), packedInsert(9, 7, 8), xid());
    expect(stream.handler.calls).toEqual(['table t', 'c t 7,8 in -1', 'commit -1']);
    expect(stream.handler.ordinals).toEqual([29, 34]);
  });

  test('a compressed query event has its statement', () => {
    const plain = query('TRUNCATE TABLE t');
    const at = plain.body.length - 'TRUNCATE TABLE t'.length;
    const packed = { type: 165, body: Buffer.concat([plain.body.subarray(0, at), deflated(plain.body.subarray(at))]) };
    expect(callsOf(mariadbGtid(1, 1), packed)).toEqual(['truncate s.t', 'commit -1']);
  });

  test.each<[string, (body: Buffer) => Buffer]>([
    [
      'more bytes than its header says',
      (body) => Buffer.concat([body.subarray(0, 12), Buffer.of(3), body.subarray(13)]),
    ],
    ['an unknown method', (body) => Buffer.concat([body.subarray(0, 10), Buffer.of(0x92), body.subarray(11)])],
    ['bytes after its zlib stream', (body) => Buffer.concat([body, Buffer.of(0)])],
    ['an incomplete zlib stream', (body) => body.subarray(0, -6)],
    ['no content', (body) => body.subarray(0, 10)],
  ])('an event with %s stops the stream', (_, damage) => {
    const stream = new Stream().read(mariadbGtid(1, 0), tableMap(9, 't'));
    const { type, body } = packedInsert(9, 7, 8);
    expect(errorOf(() => stream.read({ type, body: damage(body) })).message).toMatch(/compressed event|shorter than/);
  });
});

test('the test helper writes lengths as the server does', () => {
  expect(lenenc(255).toString('hex')).toBe('fcff00');
});
