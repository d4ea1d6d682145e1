import type { OracleTable } from './oracle.ts';
import { isOn, type Server, TYPE_CASES, type TypeCase } from './type-cases.ts';

/** Creates a table per case with a row for each value and one for NULL. */
export function caseTables(server: Server, cases: readonly TypeCase[] = TYPE_CASES): OracleTable[] {
  return cases.flatMap((typeCase, i) => (isOn(typeCase, server) ? [caseTable(typeCase, i)] : []));
}

function caseTable({ type, kind, values, mode }: TypeCase, i: number): OracleTable {
  const name = `c${i} ${type.slice(0, 50)}`.replaceAll(/[^\w ()]/g, '').trim();
  const notNull = /NOT NULL/.test(type);
  const rows = [...values, ...(notNull ? [] : ['NULL'])].map((value, id) => `(${id}, 0, ${value})`);
  return {
    name,
    ...(mode === undefined ? {} : { mode }),
    create: [`CREATE TABLE \`${name}\` (id INT PRIMARY KEY, n INT NOT NULL, v ${type})`],
    fill: [`INSERT INTO \`${name}\` VALUES ${rows.join(', ')}`],
    columns: [
      { name: 'id', kind: 'integer' },
      { name: 'n', kind: 'integer' },
      { name: 'v', kind },
    ],
  };
}
