import { z } from 'zod';
import { validatedString } from './refinements.ts';
import { canVerifyIdentity, hostUrls, parseSourceUrl, TLS_MODES, tlsMode } from './url.ts';

export const sourceUrl = validatedString((text) => hostUrls(text).forEach(parseSourceUrl));

/** The keys beside the URL of a server. */
export const connectionKeys = {
  password: z
    .string()
    .optional()
    .describe(
      'The password; it takes precedence over the one in url. An environment variable keeps it out of the file, see the example.',
    ),
  password_file: z.string().optional().describe('A file that contains only the password.'),
  tls: z
    .enum(TLS_MODES)
    .optional()
    .describe(
      'verify-identity checks chain and host name, verify-ca checks the chain, required only encrypts. Default: verify-identity, but disabled for a loopback host.',
    ),
  ca_file: z
    .string()
    .optional()
    .describe('PEM file of the certificate authority, if Node does not trust it by default.'),
};

type ConnectionKeys = { url: string } & z.output<z.ZodObject<typeof connectionKeys>>;

/**
 * Keys of a connection that contradict each other.
 * @param path where the section is, from what `context` refines
 */
export function checkConnection(
  section: 'source' | 'backfill',
  value: ConnectionKeys,
  context: z.RefinementCtx,
  path: string[] = [],
): void {
  const report = (key: keyof typeof connectionKeys, message: string): void =>
    context.addIssue({ code: 'custom', path: [...path, key], message });
  if (value.password !== undefined && value.password_file !== undefined) {
    report('password_file', `cannot be combined with ${section}.password`);
  }
  const urls = hostUrls(value.url);
  let modes: ReturnType<typeof tlsMode>[];
  try {
    modes = urls.map((url) => tlsMode({ ...value, url }));
  } catch {
    return; // the URL has its own issue
  }
  const [mode = 'disabled'] = modes;
  if (urls.some((url, i) => modes[i] === 'verify-identity' && !canVerifyIdentity(url))) {
    const message = `verify-identity needs a host name in ${section}.url, not an IP address; use the name, or tls: verify-ca`;
    report('tls', message);
  }
  if (value.ca_file !== undefined && !modes.some((tls) => tls.startsWith('verify-'))) {
    const message = `has no effect with tls: ${mode}; set ${section}.tls to verify-identity or verify-ca`;
    report('ca_file', message);
  }
}
