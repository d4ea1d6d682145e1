import { expect, test } from 'vitest';
import { BinlogDecoder } from '../../../../src/source/binlog/binlog-decoder.ts';
import {
  type EventParts,
  event,
  format,
  gtid,
  insert,
  query,
  RecordingHandler,
  rotate,
  tableMap,
  xaPrepare,
  xid,
} from './events.ts';

const BEGIN = query('BEGIN');
/** Whether the first byte of the checksum is one that a name can have. */
const looksLikeText = (bytes: Buffer): boolean => /^[0-9a-z_$]/i.test(bytes.toString('latin1', bytes.length - 4));

interface TextCase {
  events: EventParts[];
  /** Which of the events has the text. */
  at: number;
  expected: string[];
}

/** For each type of event with a text at its end: a stream that has it, and the calls that the handler must receive. */
const CASES: Record<string, (n: number) => TextCase> = {
  ROTATE: (n) => ({
    events: [rotate(`binlog.${n}`), format(true), { type: 27, body: Buffer.from('x') }],
    at: 0,
    expected: [`heartbeat binlog.${n}:4`],
  }),
  'QUERY with a table': (n) => ({
    events: [gtid(1), query(`TRUNCATE TABLE t${n}`)],
    at: 1,
    expected: [`truncate s.t${n}`, 'commit :1'],
  }),
  'QUERY with a savepoint': (n) => ({
    events: [gtid(1), BEGIN, query(`SAVEPOINT s${n}`), xid()],
    at: 2,
    expected: [`savepoint s${n}`, 'commit :1'],
  }),
  'QUERY that begins a transaction': (n) => ({
    events: [gtid(n), BEGIN, tableMap(9, 't'), insert(9, 1), query('COMMIT')],
    at: 4,
    expected: ['table t', expect.stringContaining('c t 1 in'), expect.stringContaining('commit')],
  }),
  TABLE_MAP: (n) => ({
    events: [gtid(1), BEGIN, tableMap(9, `t${n}`), insert(9, 1), xid()],
    at: 2,
    expected: [`table t${n}`, `c t${n} 1 in :1`, 'commit :1'],
  }),
  XA_PREPARE: (n) => ({
    events: [
      gtid(1),
      query(`XA START X'${Buffer.from(`x${n}`).toString('hex')}',X'',1`),
      xaPrepare(`x${n}`),
      gtid(2),
      query(`XA COMMIT X'${Buffer.from(`x${n}`).toString('hex')}',X'',1`),
    ],
    at: 2,
    expected: ['prepared :1', 'commit :2'],
  }),
  FORMAT_DESCRIPTION: (n) => ({
    events: [format(true, `9.7.${n}`), gtid(1), query('TRUNCATE t')],
    at: 0,
    expected: ['truncate s.t', 'commit :1'],
  }),
};

test.each(Object.entries(CASES))('the text of %s ends where its checksum begins', (name, caseOf) => {
  let tried = 0;
  for (let n = 1; tried < 20; n++) {
    expect(n, 'a checksum like text is found').toBeLessThan(5_000);
    const { events, at, expected } = caseOf(n);
    if (!looksLikeText(event(events[at] as EventParts)) && name !== 'QUERY that begins a transaction') continue;
    tried++;
    const handler = new RecordingHandler();
    const decoder = new BinlogDecoder<string>(handler, (bytes) => bytes.toString(), true);
    for (const parts of [rotate('binlog.000001'), format(true), ...events]) {
      const bytes = event(parts);
      for (const _ of decoder.read(bytes, 0, bytes.length) ?? []);
    }
    expect(handler.calls).toEqual(expected);
  }
});
