import { z } from 'zod';
import { validatedString } from './refinements.ts';
import { canVerifyIdentity, hostUrls, parseSourceUrl, TLS_MODES, tlsMode } from './url.ts';

export const sourceUrl = validatedString((text) => hostUrls(text).forEach(parseSourceUrl));

const region = z.string().refine((text) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(text), 'must look like eu-west-1');

/** A secret of AWS Secrets Manager. `endpoint` is another one than that of AWS. */
const passwordSecret = z.strictObject({
  id: z.string().min(1).describe('The name of the secret, or its ARN.'),
  key: z
    .string()
    .min(1)
    .default('password')
    .describe('The key of the password, if the secret is a JSON object. A secret that is none is the password.'),
  user_key: z
    .string()
    .min(1)
    .optional()
    .describe('The key of the user, for a rotation that alternates between two users. Default: the user in url.'),
  region: region.optional().describe('Default: that of the ARN, AWS_REGION, or the shared AWS configuration.'),
  endpoint: z
    .string()
    .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must look like https://host')
    .optional()
    .describe('Only for a VPC endpoint, or another Secrets Manager than that of AWS.'),
});

const iamAuth = z.strictObject({
  region: region.optional().describe('Default: that of the host name, AWS_REGION, or the shared AWS configuration.'),
  host: z
    .string()
    .refine((text) => /^[A-Za-z0-9.-]+(:\d{1,5})?$/.test(text), 'must look like host or host:port')
    .optional()
    .describe('The endpoint that RDS names, if url has another name for it, such as that of a tunnel.'),
});

/** The keys beside the URL of a server. */
export const connectionKeys = {
  password: z
    .string()
    .optional()
    .describe(
      'The password; it takes precedence over the one in url. An environment variable keeps it out of the file.',
    ),
  password_file: z
    .string()
    .optional()
    .describe(
      'A file that contains only the password. It is read for each connection, so the password can be rotated.',
    ),
  password_secret: passwordSecret
    .optional()
    .describe('The secret of AWS Secrets Manager that holds the password. It is asked again, so it can be rotated.'),
  iam_auth: iamAuth
    .or(z.literal(true))
    .optional()
    .describe('true: IAM authentication of Amazon RDS. A token for each connection is the password. It needs TLS.'),
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
  cert_file: z
    .string()
    .optional()
    .describe('PEM file of the client certificate, for an account with REQUIRE X509. It needs key_file.'),
  key_file: z.string().optional().describe('PEM file of the key of the client certificate, without a passphrase.'),
};

type ConnectionKeys = { url: string } & Partial<z.output<z.ZodObject<typeof connectionKeys>>>;
const PASSWORD_KEYS = ['password', 'password_file', 'password_secret', 'iam_auth'] as const;

/** Whether a section has a password of its own. */
export const hasPassword = (section: ConnectionKeys): boolean =>
  PASSWORD_KEYS.some((key) => section[key] !== undefined) || isPasswordIn(section.url);

function isPasswordIn(url: string): boolean {
  try {
    return parseSourceUrl(url).password !== undefined;
  } catch {
    return false; // the URL has its own issue
  }
}

/**
 * Keys of a connection that contradict each other.
 * @param section what messages call it, such as `source`
 * @param path where the section is, from what `context` refines
 */
export function checkConnection(
  section: string,
  value: ConnectionKeys,
  context: z.RefinementCtx,
  path: string[] = [],
): void {
  const report = (key: keyof typeof connectionKeys, message: string): void =>
    context.addIssue({ code: 'custom', path: [...path, key], message });
  const [first, ...others] = PASSWORD_KEYS.filter((key) => value[key] !== undefined);
  for (const key of others) report(key, `cannot be combined with ${section}.${first}`);
  if (value.cert_file !== undefined && value.key_file === undefined) report('cert_file', 'needs key_file');
  if (value.key_file !== undefined && value.cert_file === undefined) report('key_file', 'needs cert_file');
  const urls = hostUrls(value.url);
  let modes: ReturnType<typeof tlsMode>[];
  try {
    modes = urls.map((url) => tlsMode({ ...value, url }));
  } catch {
    return; // the URL has its own issue
  }
  const [mode = 'disabled'] = modes;
  if (
    (first === 'password_secret' || first === 'iam_auth') &&
    parseSourceUrl(urls[0] as string).password !== undefined
  ) {
    report(first, `cannot be combined with the password in ${section}.url`);
  }
  if (value.iam_auth !== undefined && modes.includes('disabled')) {
    const why = value.tls === undefined ? ', which is disabled for a loopback host' : '';
    report('iam_auth', `needs TLS${why}; set ${section}.tls to verify-identity, verify-ca or required`);
  }
  if (typeof value.iam_auth === 'object' && value.iam_auth.host !== undefined && urls.length > 1) {
    report('iam_auth', `host cannot be set with several hosts in ${section}.url; a token is for one host`);
  }
  if (urls.some((url, i) => modes[i] === 'verify-identity' && !canVerifyIdentity(url))) {
    const message = `verify-identity needs a host name in ${section}.url, not an IP address; use the name, or tls: verify-ca`;
    report('tls', message);
  }
  if (value.ca_file !== undefined && !modes.some((tls) => tls.startsWith('verify-'))) {
    const message = `has no effect with tls: ${mode}; set ${section}.tls to verify-identity or verify-ca`;
    report('ca_file', message);
  }
  if (value.cert_file !== undefined && modes.every((tls) => tls === 'disabled')) {
    report(
      'cert_file',
      `has no effect with tls: disabled; set ${section}.tls to verify-identity, verify-ca or required`,
    );
  }
}
