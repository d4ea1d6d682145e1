import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseAllDocuments, parseDocument } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';

/** The files of docker and of config/deploy. */

export const root = resolve(import.meta.dirname, '../..');
export const readFile = (path: string): string => readFileSync(join(root, path), 'utf8');

// biome-ignore lint/suspicious/noExplicitAny: documents whose types a schema checks
export type Document = any;

/** @throws Error with what is wrong in the YAML, a key that is there twice included */
export function readYaml(path: string): Document {
  const document = parseDocument(readFile(path), { merge: true });
  if (document.errors.length > 0) throw new Error(`${path}: ${document.errors.join('\n')}`);
  return document.toJS();
}

/** The documents of a file, which `---` separates. */
export function readManifests(path: string): Document[] {
  const documents = [...parseAllDocuments(readFile(path))] as { errors: Error[]; toJS(): Document }[];
  const errors = documents.flatMap((document) => document.errors);
  if (errors.length > 0) throw new Error(`${path}: ${errors.join('\n')}`);
  return documents.map((document) => document.toJS());
}

/**
 * A configuration as the daemon reads it. Files that it names for secrets are left out: they are not there.
 * @throws CdcError with everything that is wrong
 */
export function loadDeployed(text: string, directory: string, env: Record<string, string> = {}): Config {
  const without = text.replace(/^( *)password_file: .*$/m, '$1password: from-a-file');
  return parseConfig(without, { file: 'cdc.yaml', directory, env });
}
