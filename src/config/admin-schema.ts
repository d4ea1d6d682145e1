import { z } from 'zod';
import { CdcError } from '../runtime/error.ts';
import { numberWithUnit, runCheck } from './refinements.ts';
import { parseDuration } from './units.ts';

/** An address to listen on. Port 0 is any free port. */
export interface ListenAddress {
  host: string;
  port: number;
}

const ADDRESS_RULE = 'look like 127.0.0.1:8686, or be a port of this machine, such as 8686';

/** `127.0.0.1:8686`, `[::1]:8686`, or a port alone, which is one of this machine only. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:(?:\[([0-9a-f:.]+)\]|([A-Za-z0-9_.-]*)):)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new CdcError(`must ${ADDRESS_RULE}`);
  }
  return { host: match[1] || match[2] || '127.0.0.1', port };
}

export const admin = z.strictObject({
  socket: z
    .string()
    .min(1)
    .optional()
    .describe(
      'The Unix socket of the daemon. Default: <checkpoint file without .json>.sock, or state/<name>.sock without such a file.',
    ),
  listen: z
    .union([z.string(), z.number()], { error: `must ${ADDRESS_RULE}` })
    .transform(String)
    .superRefine((text, context) => {
      runCheck(context, () => parseListenAddress(text));
    })
    .optional()
    .describe('The address of the dashboard, the metrics and the status. A port alone is on 127.0.0.1. No default.'),
  hosts: z
    .array(z.string().regex(/^[A-Za-z0-9_.-]+$/, 'must be a host name without a port, such as cdc.internal'))
    .default([])
    .describe('Other names that this machine is called by: of a proxy, or in Docker or Kubernetes.'),
  token: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be of visible ASCII characters without spaces')
    .optional()
    .describe('What a client of admin.listen has to know to change something. Without one it can only look.'),
  token_file: z.string().optional().describe('A file that contains only the token.'),
  max_lag: numberWithUnit(parseDuration, {
    min: 1_000,
    max: 86_400_000,
    what: 'a duration such as 60s, from 1s to 24h',
  })
    .prefault('60s')
    .describe('The daemon is not ready while the stream is behind by more than this.'),
});
