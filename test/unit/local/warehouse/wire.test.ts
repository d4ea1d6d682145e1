import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  copiesFromClient,
  MessageCutter,
  message,
  query,
  sqlOf,
  startup,
} from '../../../../src/local/warehouse/wire.ts';

test('messages are cut out of chunks of any size', () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
  fc.assert(
    fc.property(bodies, fc.integer({ min: 1, max: 50 }), (found, size) => {
      const messages = found.map((body) => message('d', Buffer.from(body)));
      const bytes = Buffer.concat([startup('u', 'd'), ...messages]);
      const cutter = new MessageCutter();
      const cut: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        cutter.push(bytes.subarray(at, at + size));
        for (let next = cutter.next(cut.length > 0); next; next = cutter.next(true)) cut.push(next.bytes);
      }
      expect(cut).toEqual([startup('u', 'd'), ...messages]);
    }),
  );
});

test.each<[string, ReturnType<typeof copiesFromClient>]>([
  ['COPY t FROM STDIN', 'alone'],
  ['-- note\n /* more */ copy "t" (a, b)\n from stdin with (format csv);  ', 'alone'],
  ['copy t from stdin; select 1', 'among others'],
  ['BEGIN; COPY t FROM STDIN', 'among others'],
  ["COPY t FROM '/file'", undefined],
  ['COPY t TO STDOUT', undefined],
  ["SELECT 'copy t from stdin'", undefined],
  ['INSERT INTO copy SELECT 1', undefined],
])('%s reads data of the client: %s', (sql, expected) => {
  expect(copiesFromClient(sql)).toBe(expected);
});

test('the SQL of a query, and of a statement with a name', () => {
  expect(sqlOf({ type: 'Q', bytes: query('SELECT 1') })).toBe('SELECT 1');
  expect(sqlOf({ type: 'P', bytes: message('P', Buffer.from('name\0SELECT 2\0\0\0')) })).toBe('SELECT 2');
});
