import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readLoggedStatement } from '../../../../src/source/statement/logged-statement.ts';
import { readStatement } from '../../../../src/source/statement/read-statement.ts';
import type { LexicalModes } from '../../../../src/source/statement/tokenizer.ts';

const MODES: LexicalModes = { ansiQuotes: false, noBackslashEscapes: false, nbspIsSpace: false, mariadb: false };

/** The statement in one line: its label, then what it does to which tables. */
function read(sql: string, modes: Partial<LexicalModes> = {}): string {
  const statement = readStatement(sql, 'd', { ...MODES, ...modes });
  const nameOf = ({ schema, table }: { schema: string; table: string | undefined }) => `${schema}.${table ?? '*'}`;
  switch (statement.kind) {
    case 'ddl':
      return [
        statement.label,
        ...statement.changes.map((change) => `${change.effect} ${nameOf(change)}`),
        ...(statement.dropped ?? []).map((name) => `dropped ${nameOf(name)}`),
      ].join(' | ');
    case 'dml': {
      const writes = statement.writes?.map(nameOf).join(' ') ?? '?';
      const changes = statement.changes.map((change) => ` | ${change.effect} ${nameOf(change)}`).join('');
      return `${statement.label} writes ${writes}${statement.deletesAll ? ' all' : ''}${changes}`;
    }
    case 'unknown':
      return `unknown ${statement.label}: ${statement.mentions?.map(nameOf).join(' ') ?? 'anything'}`;
    case 'savepoint':
    case 'rollback-to':
      return `${statement.kind} ${statement.name}`;
    case 'xa':
      return `xa ${statement.verb} ${statement.gtrid},${statement.bqual},${statement.format} ${statement.onePhase}`;
    default:
      return statement.kind;
  }
}

describe('TRUNCATE in any spelling', () => {
  test.each<[string, Partial<LexicalModes>?]>([
    ['TRUNCATE TABLE d.a'],
    ['truncate a'],
    ['TRUNCATE`a`'],
    ['TRUNCATE`d`.`a`'],
    ['TRUNCATE TABLE "d"."a"', { ansiQuotes: true }],
    ['TRUNCATE /* x */ TABLE d.a'],
    ['TRUNCATE TABLE d.a/*tail*/'],
    ['TRUNCATE TABLE d . a -- tail'],
    ['TRUNCATE TABLE d.a # tail'],
    ['-- lead\nTRUNCATE\tTABLE\n.a;'],
    ['/*!50000 TRUNCATE TABLE */ d.a'],
    ['/*!50000TRUNCATE*/ /* plain /* TABLE d.b */ TABLE d.a'],
    ['/*! TRUNCATE TABLE d.a /* nested */ */'],
    ['/*M!100500 TRUNCATE TABLE d.a */', { mariadb: true }],
    ["SET STATEMENT sql_mode='ANSI_QUOTES', max_statement_time = 1 FOR TRUNCATE TABLE a WAIT 5", { mariadb: true }],
    ['((TRUNCATE a'],
  ])('%s empties the table', (sql, modes) => {
    expect(read(sql, modes)).toBe('TRUNCATE TABLE | emptied d.a');
  });

  test('a comment of MariaDB is a plain comment on MySQL', () => {
    expect(read('TRUNCATE TABLE /*M! x. */ a')).toBe('TRUNCATE TABLE | emptied d.a');
    expect(read('TRUNCATE TABLE /*M! x. */ a', { mariadb: true })).toBe('TRUNCATE TABLE | emptied x.a');
  });

  test('a no-break space is a space in a character set of one byte, and a character of a name in UTF-8', () => {
    expect(read('TRUNCATE\u00a0TABLE\u00a0d.a', { nbspIsSpace: true })).toBe('TRUNCATE TABLE | emptied d.a');
    expect(read('TRUNCATE a\u00a0b')).toBe('TRUNCATE TABLE | emptied d.a\u00a0b');
  });

  test('a version has five digits, or six where the server reads six', () => {
    expect(read('TRUNCATE /*!500001a */')).toBe('TRUNCATE TABLE | emptied d.1a');
    expect(read('TRUNCATE /*!080000 a */')).toBe('TRUNCATE TABLE | emptied d.a');
    expect(read('TRUNCATE /*!100500a */', { mariadb: true })).toBe('TRUNCATE TABLE | emptied d.a');
  });

  test('names keep quotes, dots, semicolons and characters outside ASCII', () => {
    expect(read('TRUNCATE `we``ird`.`a.b;c "d"`')).toBe('TRUNCATE TABLE | emptied we`ird.a.b;c "d"');
    expect(read('TRUNCATE größe.表')).toBe('TRUNCATE TABLE | emptied größe.表');
    expect(read('TRUNCATE "q""q"', { ansiQuotes: true })).toBe('TRUNCATE TABLE | emptied d.q"q');
  });
});

test.each([
  ['CREATE TABLE IF NOT EXISTS x (a INT, b ENUM("select"))', 'CREATE TABLE'],
  ['CREATE TABLE x (a INT)', 'CREATE TABLE | created d.x | columns d.x'],
  ['CREATE TABLE orders_old LIKE orders', 'CREATE TABLE | created d.orders_old | columns d.orders_old'],
  ['CREATE TEMPORARY TABLE x (a INT)', 'CREATE TEMPORARY TABLE'],
  ['DROP TEMPORARY TABLE IF EXISTS `x`', 'DROP TEMPORARY TABLE'],
  ['CREATE OR REPLACE TABLE x (a INT)', 'CREATE TABLE | emptied d.x | created d.x | columns d.x'],
  ['CREATE TABLE x PARTITION BY LIST (a) (PARTITION p VALUES IN (1))', 'CREATE TABLE | created d.x | columns d.x'],
  ['CREATE TABLE x (a INT) START TRANSACTION', 'CREATE TABLE | created d.x | columns d.x'],
  ['CREATE TABLE x AS SELECT * FROM y', 'CREATE TABLE … SELECT writes d.x | created d.x | columns d.x'],
  ['CREATE TABLE x (a INT) IGNORE SELECT 1', 'CREATE TABLE … SELECT writes d.x | created d.x | columns d.x'],
  ['CREATE TABLE x TABLE y', 'CREATE TABLE … SELECT writes d.x | created d.x | columns d.x'],
  ['CREATE TABLE x VALUES ROW(1)', 'CREATE TABLE … SELECT writes d.x | created d.x | columns d.x'],
  ['CREATE TABLE x AS VALUES (1)', 'CREATE TABLE … SELECT writes d.x | created d.x | columns d.x'],
  [
    'DROP TABLE IF EXISTS `a`, e.b /* generated by server */',
    'DROP TABLE | emptied d.a | columns d.a | emptied e.b | columns e.b',
  ],
  ['DROP VIEW IF EXISTS a, e.b', 'DROP VIEW | dropped d.a | dropped e.b'],
  ['DROP TRIGGER e.t', 'DROP TRIGGER | dropped e.t'],
  ['DROP PACKAGE BODY p', 'DROP PACKAGE | dropped d.p'],
  ['DROP EVENT e', 'DROP EVENT'],
  ['DROP DATABASE IF EXISTS e', 'DROP DATABASE | rewritten e.* | columns e.*'],
  ['CREATE DATABASE e', 'CREATE DATABASE'],
  [
    'RENAME TABLE a TO e.b, c TO d',
    'RENAME TABLE | rewritten d.a | columns d.a | rewritten e.b | columns e.b | rewritten d.c | columns d.c | rewritten d.d | columns d.d',
  ],
  ['RENAME USER a TO b', 'RENAME USER'],
  ['CREATE UNIQUE INDEX i ON e.t (a)', 'CREATE INDEX | unique-key e.t'],
  ['CREATE FULLTEXT INDEX i ON t (a)', 'CREATE INDEX'],
  ['CREATE INDEX `on` ON t (a)', 'CREATE INDEX'],
  ['DROP INDEX i ON t', 'DROP INDEX | unique-key d.t'],
  ['CREATE SPATIAL REFERENCE SYSTEM 4120 NAME "x"', 'CREATE SPATIAL'],
  ['CREATE DEFINER=`root`@`127.0.0.1` TRIGGER x AFTER INSERT ON t FOR EACH ROW DELETE FROM t', 'CREATE TRIGGER'],
  ['CREATE DEFINER = table@localhost FUNCTION f() RETURNS INT RETURN 1', 'CREATE FUNCTION'],
  ['CREATE DEFINER=CURRENT_USER() SQL SECURITY INVOKER VIEW v AS SELECT * FROM t', 'CREATE VIEW'],
  ['CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`b` SQL SECURITY DEFINER VIEW `v` AS SELECT 1', 'CREATE VIEW'],
  ["CREATE USER 'user' IDENTIFIED BY 'secret'", 'CREATE USER'],
  ['GRANT ALL ON t.* TO u', 'GRANT'],
  ['ANALYZE TABLE t', 'ANALYZE'],
  ['OPTIMIZE LOCAL TABLE t', 'OPTIMIZE'],
  ['REPAIR TABLE t', 'REPAIR TABLE | rewritten d.t'],
  ['FLUSH TABLES t', 'FLUSH'],
  ['SET PASSWORD FOR u = "secret"', 'SET'],
  ['ALTER SEQUENCE s RESTART 1', 'ALTER SEQUENCE | rewritten d.s | columns d.s'],
  ['CREATE OR REPLACE SEQUENCE s', 'CREATE SEQUENCE | emptied d.s | columns d.s'],
  ['CREATE TEMPORARY TABLE x SELECT f(7)', 'CREATE TEMPORARY TABLE … SELECT writes '],
  ['CREATE OR REPLACE JSON RELATIONAL DUALITY VIEW v AS SELECT 1 FROM t', 'CREATE VIEW'],
  ['CREATE MATERIALIZED VIEW v AS SELECT 1 FROM t', 'CREATE VIEW'],
  ['TRUNCATE TABLE /* 99999 x /* y */ z */ t.a', 'unknown TRUNCATE: d.TRUNCATE d.TABLE d.z t.a'],
  ['TRUNCATE TABLE "t"."a"', 'unknown TRUNCATE: d.TRUNCATE d.TABLE t.a'],
  ['TRUNCATE TABLE `t', 'unknown TRUNCATE: anything'],
  ['DROP TABLE a, b RESTRICT', 'DROP TABLE | emptied d.a | columns d.a | emptied d.b | columns d.b'],
  ['FROBNICATE TABLE e.t', 'unknown FROBNICATE: d.FROBNICATE d.TABLE e.t'],
  ['', 'unknown unknown: '],
  ["TRUNCATE TABLE 'a'", 'unknown TRUNCATE: d.TRUNCATE d.TABLE d.a'],
])('%s', (sql, expected) => {
  expect(read(sql)).toBe(expected);
});

describe('ALTER TABLE', () => {
  test.each([
    ['ADD COLUMN b INT DEFAULT 1', ' | columns d.t'],
    ['ADD vector INT', ' | columns d.t'],
    ['ADD VECTOR INDEX i (a)', ''],
    ['ADD INDEX i (a), COMMENT "fed by orders", ALGORITHM=INPLACE', ''],
    ['ADD CONSTRAINT `index` CHECK (a > 0)', ''],
    ['ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES o (id)', ''],
    ['ADD UNIQUE KEY u (a)', ' | unique-key d.t'],
    ['ADD CONSTRAINT UNIQUE (a)', ' | unique-key d.t'],
    ['ADD CONSTRAINT c UNIQUE (a)', ' | unique-key d.t'],
    ['DROP KEY u', ' | unique-key d.t'],
    [
      'DROP PRIMARY KEY, ADD PRIMARY KEY (b)',
      ' … DROP PRIMARY KEY | rewritten d.t | columns d.t | columns d.t | rewritten d.t',
    ],
    ['ADD id INT AUTO_INCREMENT PRIMARY KEY FIRST', ' … ADD PRIMARY KEY | columns d.t | rewritten d.t'],
    ['AUTO_INCREMENT = 5', ''],
    ["COMMENT='x' ENGINE=BLACKHOLE", ' … ENGINE BLACKHOLE | rewritten d.t'],
    ["ENGINE='BLACKHOLE'", ' … ENGINE BLACKHOLE | rewritten d.t'],
    ['FORCE, ROW_FORMAT=DYNAMIC, DEFAULT CHARACTER SET utf8mb4', ''],
    ['ALTER COLUMN a SET DEFAULT 5, DROP FOREIGN KEY f, DROP CHECK c', ''],
    ['DROP CONSTRAINT u', ' | unique-key d.t'],
    [
      'RENAME COLUMN a TO b, RENAME COLUMN b TO a',
      ' … RENAME COLUMN | rewritten d.t | columns d.t | rewritten d.t | columns d.t',
    ],
    ['RENAME INDEX a TO b', ''],
    ['RENAME TO e.u', ' … RENAME | rewritten d.t | columns d.t | rewritten e.u | columns e.u'],
    ['RENAME = u', ' … RENAME | rewritten d.t | columns d.t | rewritten d.u | columns d.u'],
    ['MODIFY a BIGINT', ' … MODIFY COLUMN | rewritten d.t | columns d.t'],
    ['ADD b DECIMAL(5,2), CHANGE a c INT', ' … CHANGE COLUMN | columns d.t | rewritten d.t | columns d.t'],
    ['CONVERT TO CHARACTER SET utf8mb4', ' … CONVERT TO | rewritten d.t | columns d.t'],
    ['TRUNCATE PARTITION p0, p1', ' … TRUNCATE PARTITION | rewritten d.t'],
    ['REBUILD PARTITION p0, p1', ''],
    ['DROP PARTITION p0, p1', ' … DROP PARTITION | rewritten d.t'],
    [
      'EXCHANGE PARTITION p WITH TABLE e.u WITHOUT VALIDATION',
      ' … EXCHANGE PARTITION | rewritten d.t | rewritten e.u | columns e.u',
    ],
    ['REORGANIZE PARTITION p INTO (PARTITION q VALUES LESS THAN (5))', ''],
    ['ADD PARTITION (PARTITION q VALUES LESS THAN (5))', ''],
    ['IMPORT TABLESPACE', ' … IMPORT TABLESPACE | rewritten d.t'],
    ['IMPORT PARTITION p TABLESPACE', ' … IMPORT TABLESPACE | rewritten d.t'],
    ['DISCARD TABLESPACE', ' … DISCARD TABLESPACE | rewritten d.t'],
    ['CONVERT PARTITION p TO TABLE u', ' … CONVERT PARTITION | rewritten d.t | rewritten d.u | columns d.u'],
    ['ENGINE=BLACKHOLE', ' … ENGINE BLACKHOLE | rewritten d.t'],
    ['ENGINE=InnoDB', ''],
    ['SOMETHING NEW', ' | columns d.t'],
  ])('%s', (clauses, expected) => {
    expect(read(`ALTER TABLE t ${clauses}`)).toBe(`ALTER TABLE${expected}`);
  });

  test('IGNORE removes rows', () => {
    expect(read('ALTER IGNORE TABLE t ADD UNIQUE (a)')).toBe('ALTER TABLE | rewritten d.t | unique-key d.t');
  });
});

test.each([
  ['INSERT INTO e.z VALUES (1)', 'INSERT writes e.z'],
  ['insert low_priority ignore z select * from o', 'INSERT writes d.z'],
  ['REPLACE `e`.`z` SET a = 1', 'REPLACE writes e.z'],
  ['UPDATE e.z JOIN t.o ON o.id = z.id SET o.x = z.x', 'UPDATE writes e.z t.o o.id z.id'],
  ['UPDATE /*+ hint */ t.o SET x = 1', 'UPDATE writes t.o'],
  ['UPDATE (SELECT 1 AS SET_) s, t.o SET o.x = 1', 'UPDATE writes d.SET_ d.s t.o'],
  ['DELETE FROM t.o', 'DELETE writes t.o all'],
  ['DELETE FROM t.o LIMIT 1', 'DELETE writes t.o'],
  ['DELETE o FROM e.z z JOIN t.o o WHERE z.id = q.r', 'DELETE writes d.o e.z d.z t.o d.o'],
  ['DELETE o.*, z.* FROM o, z', 'DELETE writes d.o d.z d.o d.z'],
  ['DELETE FROM o USING e.z JOIN t.o', 'DELETE writes d.o e.z t.o'],
  ["LOAD DATA LOCAL INFILE 'into.csv' IGNORE INTO TABLE e.z FIELDS TERMINATED BY ','", 'LOAD DATA writes e.z'],
  ['WITH c AS (SELECT 1 UNION SELECT 2) UPDATE e.z, c SET z.x = 3', 'UPDATE writes e.z d.c'],
  ['SELECT `t`.`f`(7)', 'SELECT writes ?'],
  ['CALL p()', 'CALL writes ?'],
  ['(SELECT f(1))', 'SELECT writes ?'],
])('%s', (sql, expected) => {
  expect(read(sql)).toBe(expected);
});

test.each([
  ['SAVEPOINT `step one`', 'savepoint step one'],
  ['SAVEPOINT a.b', 'unknown SAVEPOINT: anything'],
  ['SAVEPOINT `a.b;c`', 'savepoint a.b;c'],
  ['SAVEPOINT `Größe `', 'savepoint grose'],
  ['ROLLBACK TO `GROßE`', 'rollback-to grose'],
  ['ROLLBACK WORK TO SAVEPOINT x', 'rollback-to x'],
  ['ROLLBACK', 'rollback'],
  ['COMMIT /* x */', 'commit'],
  ['BEGIN', 'begin'],
  ["XA START X'4A',X'',1", 'xa START 4a,,1 false'],
  ["XA COMMIT X'4a',X'b0',7 ONE PHASE", 'xa COMMIT 4a,b0,7 true'],
  ['XA RECOVER', 'unknown XA: anything'],
])('%s', (sql, expected) => {
  expect(read(sql)).toBe(expected);
});

test('savepoints in double quotes have the same name as in backticks', () => {
  expect(read('SAVEPOINT "step one"', { ansiQuotes: true })).toBe('savepoint step one');
});

test('a backslash escapes a quote in a string, unless the session says otherwise', () => {
  const sql = String.raw`INSERT INTO a VALUES ('\'), (SELECT 1 FROM b -- ')`;
  expect(readStatement(`UPDATE a JOIN ('\\'') SET x = 1`, 'd', MODES)).toMatchObject({ kind: 'dml' });
  expect(read(sql, { noBackslashEscapes: true })).toBe('INSERT writes d.a');
  expect(read(String.raw`UPDATE a, (SELECT '\' SET '') x, b SET b.x = 1`, { noBackslashEscapes: true })).toContain(
    'd.b',
  );
});

describe('the character set of the client', () => {
  const decode = (bytes: Buffer, collation: number) => bytes.toString(collation === 8 ? 'latin1' : 'utf8');
  const session = { schema: 'd', collation: 8, modes: MODES };
  const latin1 = (sql: string) => readLoggedStatement(Buffer.from(sql, 'latin1'), session, decode);

  test('names are decoded from it', () => {
    expect(latin1('TRUNCATE TABLE t.größe')).toMatchObject({ changes: [{ schema: 't', table: 'größe' }] });
  });

  test('a text that the server wrote in UTF-8 counts for the tables of both readings', () => {
    const statement = readLoggedStatement(Buffer.from('DROP TABLE `größe`'), session, decode);
    expect(statement).toMatchObject({ kind: 'ddl' });
    const tables = statement.kind === 'ddl' ? statement.changes.map(({ table }) => table) : [];
    expect(tables).toContain('größe');
    expect(readLoggedStatement(Buffer.from('SAVEPOINT `ä`'), session, decode)).toEqual({
      kind: 'savepoint',
      name: 'a',
    });
  });

  test('of a text that is too long only the head is read, and what it does not tell counts as unknown', () => {
    const long = Buffer.alloc(16 * 1024 * 1024 + 10, 'x');
    const head = (sql: string) => {
      Buffer.from(sql).copy(long);
      return readLoggedStatement(long, session, decode);
    };
    expect(head('INSERT INTO a.b VALUES (1, ')).toMatchObject({ kind: 'dml', writes: [{ schema: 'a', table: 'b' }] });
    expect(head('UPDATE a.b JOIN c.d SET b.x =  ')).toMatchObject({ kind: 'dml', writes: undefined });
  });
});

test('any text is read without an error and without hanging', () => {
  const word = fc.constantFrom(
    ...['TRUNCATE', 'TABLE', 'ALTER', 'DROP', 'CREATE', 'RENAME', 'TO', 'SET', 'STATEMENT', 'FOR', 'XA', 'COMMIT'],
    ...['`', '"', "'", '/*', '/*!', '*/', '--', '#', '\n', '\\', '(', ')', ',', '.', ';', 'a', 'X', '1', 'ä'],
    ...['WITH', 'UPDATE', 'DELETE', 'FROM', 'INSERT', 'SAVEPOINT', 'ROLLBACK', 'PARTITION', 'INDEX', 'ON'],
  );
  const text = fc.array(fc.oneof(word, fc.string({ maxLength: 5 })), { maxLength: 30 }).map((words) => words.join(' '));
  const modes = fc.record({
    ansiQuotes: fc.boolean(),
    noBackslashEscapes: fc.boolean(),
    nbspIsSpace: fc.boolean(),
    mariadb: fc.boolean(),
  });
  fc.assert(fc.property(text, modes, (sql, lexical) => typeof readStatement(sql, 'd', lexical).kind === 'string'));
});
