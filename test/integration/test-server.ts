import { inject } from 'vitest';
import type { LocalServer, LocalServerOptions } from '../../src/local/mysql/server.ts';
import { startOnCopy } from '../server-data.ts';

/** A server of a test's own, with the settings that it names. Seconds faster than one that initializes its data. */
export const startTestServer = (options: Omit<LocalServerOptions, 'directory'>): Promise<LocalServer> =>
  startOnCopy(inject('serverData'), options);
