import { tmpdir } from 'node:os';
import { parseConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { FirehoseConfig } from '../../../src/config/transport-schema.ts';

/** A configuration from YAML text, as if it were a file in the temporary folder. */
export const configFrom = (yaml: string, env: Record<string, string> = {}): Config =>
  parseConfig(yaml, { file: 'cdc.yaml', directory: tmpdir(), env });

/** The error that `act` throws; a test that expects one fails if there is none. */
export function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

/** The section of Firehose, which the configuration must have. */
export function firehoseOf({ firehose }: Pick<Config, 'firehose'>): FirehoseConfig {
  if (firehose === undefined) throw new Error('the configuration has no Firehose');
  return firehose;
}
