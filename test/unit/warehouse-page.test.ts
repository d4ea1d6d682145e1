import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { RECIPES, recipeOf } from '../peers/recipes.ts';

/** docs/WAREHOUSE.md. `npm run peers` runs its recipes on a real lake; this is what needs nothing but Node. */
const page = readFileSync('docs/WAREHOUSE.md', 'utf8');

describe('the recipes', () => {
  test.each(Object.values(RECIPES))('$title has a section, and the versions that npm run peers uses', (recipe) => {
    expect(page).toContain(`\n### ${recipe.title}\n`);
    expect(page).toContain(`| ${recipe.title} | ${recipe.versions()} |`);
  });

  test('DuckDB reads the newest event of each key, and no row that was deleted or truncated', async () => {
    const event = (seq: number, op: string, id: string | null, total = '1.00', db = 'shop') => {
      const after = `{"id":${id},"customer":"Zoë","total":"${total}","details":"[1.0]","receipt":"/wA=",${TIMES}}`;
      const row = op === 'd' || op === 't' ? 'null' : after;
      const key = id === null ? 'null' : `{"id":${id}}`;
      const source = `{"db":"${db}","table":"orders"}`;
      return `{"op":"${op}","before":null,"after":${row},"key":${key},"seq":"${seq + 100}","source":${source}}\n`;
    };
    const lines = [
      event(9, 'u', '18446744073709551615', '999999999999999999.99'),
      event(1, 'c', '1'),
      event(2, 't', null),
      event(3, 'c', '2'),
      event(8, 'c', '18446744073709551615'),
      event(4, 'd', '2'),
      event(9, 'u', '18446744073709551615', '999999999999999999.99'),
      // Of another table of the same name.
      event(20, 't', null, '', 'archive'),
      event(21, 'c', '7', '1.00', 'archive'),
    ];
    const lake = mkdtempSync(join(tmpdir(), 'cdc-warehouse-'));
    try {
      writeFileSync(join(lake, 'object.gz'), Buffer.concat([gzipSync(lines.join('')), gzipSync('')]));
      const connection = await (await DuckDBInstance.create()).connect();
      await connection.run("SET TimeZone = 'UTC'");
      const sql = recipeOf('DuckDB', 'sql').replace('lake/shop-changes', lake);
      const rows = (await connection.runAndReadAll(sql)).getRowsJson();
      expect(rows.map((row) => row.slice(0, 4))).toEqual([
        ['18446744073709551615', 'Zoë', '999999999999999999.99', '[1.0]'],
      ]);
    } finally {
      rmSync(lake, { recursive: true });
    }
  });
});

const TIMES = '"placed_at":"2026-01-02T03:04:05.123456","paid_at":null';

test('the costs are what the prices of the page give', () => {
  const price = Number(/\*\*([\d.]+) USD per GB\*\*/.exec(page)?.[1]);
  const rows = [...page.matchAll(/^\| [^|]+ \| ([\d,]+) \| ([\d,]+) \| (\d+) KB \| ([\d.]+) \| ([\d.]+) \|$/gm)].map(
    ([, ...cells]) => cells.map((cell) => Number(cell?.replaceAll(',', ''))),
  );
  expect(rows).toHaveLength(4);
  for (const [records = 0, bytes = 0, billed = 0, gigabytes = 0, dollars = 0] of rows) {
    expect(billed).toBe(Math.ceil(bytes / 1024 / 5) * 5);
    expect(gigabytes / ((records * billed) / 1024 ** 2)).toBeCloseTo(1, 2);
    expect(dollars / (gigabytes * price)).toBeCloseTo(1, 1);
  }
  const [off, quiet, busy] = rows.map((row) => row[3] as number) as [number, number, number];
  expect([off / quiet, off / busy].map(Math.floor)).toEqual([10, 12]);
});
