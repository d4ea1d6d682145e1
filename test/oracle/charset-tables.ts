import type { OracleTable } from './oracle.ts';
import type { Server } from './type-cases.ts';

/** All codes of an East Asian or two-byte Unicode character set, with a row for each first byte. */
interface CodeSpace {
  charset: string;
  on?: readonly Server[];
  /** Hex codes by row. */
  rows: () => string[];
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
const range = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
const pairs = (leads: number[], trails: number[], prefix = ''): string[] =>
  leads.map((lead) => trails.map((trail) => prefix + hex(lead) + hex(trail)).join(''));

const ascii = range(0, 0x7f).map(hex).join('');
const sjisLeads = [...range(0x81, 0x9f), ...range(0xe0, 0xfc)];
const sjisTrails = [...range(0x40, 0x7e), ...range(0x80, 0xfc)];
const eucBytes = range(0xa1, 0xfe);
const gbkTrails = [...range(0x40, 0x7e), ...range(0x80, 0xfe)];
const halfWidth = range(0xa1, 0xdf).map(hex).join('');
const euc = (): string[] => [
  ascii,
  ...pairs([0x8e], range(0xa1, 0xdf)),
  ...pairs(eucBytes, eucBytes),
  ...pairs(eucBytes, eucBytes, '8f'),
];

const CODE_SPACES: readonly CodeSpace[] = [
  { charset: 'big5', rows: () => [ascii, ...pairs(range(0xa1, 0xf9), [...range(0x40, 0x7e), ...eucBytes])] },
  { charset: 'cp932', rows: () => [ascii + halfWidth, ...pairs(sjisLeads, sjisTrails)] },
  { charset: 'sjis', rows: () => [ascii + halfWidth, ...pairs(sjisLeads, sjisTrails)] },
  { charset: 'eucjpms', rows: euc },
  { charset: 'ujis', rows: euc },
  {
    charset: 'euckr',
    rows: () => [
      ascii,
      ...pairs(range(0x81, 0xfe), [...range(0x41, 0x5a), ...range(0x61, 0x7a), ...range(0x81, 0xfe)]),
    ],
  },
  { charset: 'gb2312', rows: () => [ascii, ...pairs(range(0xa1, 0xf7), eucBytes)] },
  { charset: 'gbk', rows: () => [ascii, ...pairs(range(0x81, 0xfe), gbkTrails)] },
  {
    charset: 'gb18030',
    on: ['MySQL 9.7'],
    rows: () => [
      ascii,
      ...pairs(range(0x81, 0xfe), gbkTrails),
      // Codes of four bytes: all of the BMP, and samples from the codes beyond it.
      ...range(0x81, 0x84).flatMap((a) => range(0x30, 0x39).map((b) => fours(a, b, 1))),
      ...range(0x85, 0xfe).map((a) =>
        range(0x30, 0x39)
          .map((b) => fours(a, b, 31))
          .join(''),
      ),
    ],
  },
  { charset: 'ucs2', rows: () => pairs([...range(0, 0xd7), ...range(0xe0, 0xff)], range(0, 0xff)) },
  {
    charset: 'utf16',
    rows: () => [
      ...pairs([...range(0, 0xd7), ...range(0xe0, 0xff)], range(0, 0xff)),
      ...range(0xd800, 0xdbff, 17).map((high) =>
        range(0xdc00, 0xdfff, 13)
          .map((low) => hex(high) + hex(low))
          .join(''),
      ),
    ],
  },
];

const fours = (a: number, b: number, step: number): string =>
  range(0x81, 0xfe, step)
    .map((c) =>
      range(0x30, 0x39)
        .map((d) => hex(a) + hex(b) + hex(c) + hex(d))
        .join(''),
    )
    .join('');

export function charsetTables(server: Server): OracleTable[] {
  return CODE_SPACES.filter(({ on }) => on === undefined || on.includes(server)).map(({ charset, rows }) => ({
    name: `charset_${charset}`,
    create: [`CREATE TABLE charset_${charset} (id INT PRIMARY KEY, n INT NOT NULL, v TEXT CHARACTER SET ${charset})`],
    fill: [
      `INSERT INTO charset_${charset} VALUES ${rows()
        .map((codes, id) => `(${id}, 0, _${charset} X'${codes}')`)
        .join(', ')}`,
    ],
    columns: [
      { name: 'id', kind: 'integer' },
      { name: 'n', kind: 'integer' },
      { name: 'v', kind: 'text' },
    ],
  }));
}

export const CODE_SPACE_NAMES: readonly string[] = CODE_SPACES.map(({ charset }) => charset);
