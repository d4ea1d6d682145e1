import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { formatTableName } from '../../model/table-filter.ts';

/** A larger checkpoint takes longer than somebody who presses TAB waits. */
const CHECKPOINT_MAX_BYTES = 4 * 1024 * 1024;

interface Named {
  schema: string;
  table: string;
}
interface SavedNames {
  coverage?: { complete?: Named[]; verified?: Named[] };
  incomplete?: Named[];
  backfill?: { tables?: Named[] };
}

/**
 * The tables that the checkpoint of a configuration names. Reads two files and asks no server. The configuration is not
 * checked: the shell need not have the variables that it names.
 * @throws whatever is wrong with one of the files
 */
export async function savedNames(file = 'cdc.yaml'): Promise<string[]> {
  const { parse } = await import('yaml');
  const config = parse(readFileSync(file, 'utf8')) as { name?: unknown; checkpoint?: { file?: unknown } } | null;
  const { name = 'cdc', checkpoint } = config ?? {};
  // A server is not asked: who presses TAB does not wait.
  if (checkpoint && ('mysql' in checkpoint || 'dynamodb' in checkpoint)) return [];
  const path = resolve(dirname(file), String(checkpoint?.file ?? `state/${String(name)}.json`));
  if (statSync(path).size > CHECKPOINT_MAX_BYTES) return [];
  const { coverage, incomplete = [], backfill } = JSON.parse(readFileSync(path, 'utf8')) as SavedNames;
  const named = [
    ...(coverage?.complete ?? []),
    ...(coverage?.verified ?? []),
    ...incomplete,
    ...(backfill?.tables ?? []),
  ];
  const names = named.filter(({ table }) => table !== '*').map(({ schema, table }) => formatTableName(schema, table));
  return [...new Set(names)].sort();
}
