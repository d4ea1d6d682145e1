import { formatTableName } from './table-filter.ts';

/** Names in the command that completes tables; beyond it, the command without names says the same. */
const NAMED_MAX = 5;

/** Quoted for a shell if it has to be. */
export const shellWord = (name: string): string =>
  /^[\w.]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;

/** The command that completes the tables. */
export function completingCommand(tables: readonly { schema: string; table: string }[]): string {
  if (tables.length > NAMED_MAX) return 'cdc backfill';
  return `cdc backfill ${tables.map(({ schema, table }) => shellWord(formatTableName(schema, table))).join(' ')}`;
}
