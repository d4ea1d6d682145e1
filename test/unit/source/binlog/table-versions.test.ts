import { describe, expect, test } from 'vitest';
import { TableVersions } from '../../../../src/source/binlog/table-versions.ts';
import { TABLE_IDS_MAX, TABLE_VERSIONS_MAX, TABLE_VERSIONS_MAX_BYTES } from '../../../../src/source/limits.ts';
import { gtid, insert, query, Stream, tableMap, xaPrepare, xid } from './events.ts';

const BEGIN = query('BEGIN');
const body = (id: number, content: string): Buffer => {
  const bytes = Buffer.concat([Buffer.alloc(6), Buffer.from(content)]);
  bytes.writeUIntLE(id, 0, 6);
  return bytes;
};
/** Introduces the version under the id, and ends the statement. Returns whether it was known. */
function use(tables: TableVersions<string>, id: number, content: string): boolean {
  const bytes = body(id, content);
  const known = tables.introduces(id, bytes, 0, bytes.length);
  if (!known) tables.add(id, bytes, 0, bytes.length, { schema: 's', name: 't', isCaptured: true, handle: content });
  expect(tables.get(id)?.handle).toBe(content);
  tables.endStatement();
  return known;
}

describe('the table maps in use', () => {
  test('all ids of a version share it, and their number is bounded', () => {
    const tables = new TableVersions<string>();
    expect(use(tables, 1, 'v')).toBe(false);
    for (let id = 2; id < 10 * TABLE_IDS_MAX; id++) expect(use(tables, id, 'v')).toBe(true);
    expect(tables.sizes.ids).toBeLessThanOrEqual(TABLE_IDS_MAX);
    expect(tables.sizes.versions).toBe(1);
  });

  test('the number of versions is bounded', () => {
    const tables = new TableVersions<string>();
    for (let i = 0; i < 3 * TABLE_VERSIONS_MAX; i++) {
      expect(use(tables, i, `version ${i}`)).toBe(false);
      expect(tables.sizes.versions).toBeLessThanOrEqual(TABLE_VERSIONS_MAX);
      expect(tables.sizes.ids).toBeLessThanOrEqual(TABLE_IDS_MAX);
    }
  });

  test('the bytes of the versions are bounded, for tables of thousands of columns', () => {
    const tables = new TableVersions<string>();
    const wide = TABLE_VERSIONS_MAX_BYTES / 10;
    for (let i = 0; i < 100; i++) {
      use(tables, i, `${i} `.padEnd(wide));
      expect(tables.sizes.versions).toBeLessThanOrEqual(10);
    }
  });

  test('an id that is given to another version has that version', () => {
    const tables = new TableVersions<string>();
    use(tables, 1, 'old');
    expect(use(tables, 1, 'new')).toBe(false);
    expect(use(tables, 1, 'old')).toBe(true);
  });

  test('a forgotten version is not shared with a new id', () => {
    const tables = new TableVersions<string>();
    use(tables, 1, 'v');
    tables.forgetVersions();
    expect(use(tables, 2, 'v')).toBe(false);
    expect(use(tables, 1, 'v')).toBe(true);
  });
});

describe('a stream in which the server opens its tables again for each row', () => {
  const reads = (stream: Stream): number => stream.handler.calls.filter((call) => call.startsWith('table ')).length;

  test('makes the writer of a table version once', () => {
    const stream = new Stream();
    for (let i = 1; i <= 5_000; i++) {
      const table = i % 3 === 0 ? 'u' : 't';
      stream.read(gtid(i), BEGIN, tableMap(i, table), insert(i, i), xid());
    }
    expect(reads(stream)).toBe(2);
    expect(stream.handler.calls.filter((call) => call.startsWith('c t'))).toHaveLength(3_334);
  });

  test('makes it again after DDL, which can change what the table map does not show', () => {
    const stream = new Stream().read(gtid(1), BEGIN, tableMap(1, 't'), insert(1, 1), xid());
    stream.read(gtid(2), query('ALTER TABLE t RENAME COLUMN a TO b'));
    stream.read(gtid(3), BEGIN, tableMap(2, 't'), insert(2, 2), xid());
    expect(reads(stream)).toBe(2);
  });

  test('keeps the tables of prepared XA transactions, whatever the number of ids after them', () => {
    const stream = new Stream().read(gtid(1), query("XA START X'61',X'',1"), tableMap(1, 't'), insert(1, 42));
    stream.read(query("XA END X'61',X'',1"), xaPrepare('a'));
    for (let i = 2; i < 2 * TABLE_IDS_MAX; i++) {
      stream.read(gtid(i), query(`CREATE TABLE x${i} (a INT)`));
      stream.read(gtid(i), BEGIN, tableMap(i, `t${i}`), insert(i, i), xid());
    }
    stream.handler.calls.length = 0;
    stream.read(gtid(9_999), query("XA COMMIT X'61',X'',1"));
    expect(stream.handler.calls).toEqual(['c t 42 in 99', 'commit 99']);
  });

  test('several tables of one statement keep their ids until its end', () => {
    const stream = new Stream().read(gtid(1), BEGIN);
    const count = TABLE_IDS_MAX + 10;
    const ids = Array.from({ length: count }, (_, i) => i + 1);
    const last = (id: number) => {
      const parts = insert(id, id);
      // STMT_END_F only in the last rows event.
      if (id < count) parts.body.writeUInt16LE(0, 6);
      return parts;
    };
    stream.read(...ids.map((id) => tableMap(id, `t${id}`)), ...ids.map(last), xid());
    expect(stream.handler.calls.filter((call) => call.startsWith('c '))).toHaveLength(count);
  });
});
