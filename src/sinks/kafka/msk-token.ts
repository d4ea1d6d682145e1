import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { credentialChain } from '../../aws/credentials.ts';
import { requestHandler } from '../../aws/request-handler.ts';
import { CdcError } from '../../runtime/error.ts';

/** How long a token is good, seconds; that of AWS's own signers. The broker ends the session with it. */
const TOKEN_SECONDS = 900;

/**
 * A token of Amazon MSK's IAM access control: a signed URL, as aws-msk-iam-sasl-signer makes it. Only the credentials
 * can need a request.
 * @throws CdcError, or the error of the credential provider
 */
export async function mskToken(
  region = process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION,
  now = new Date(),
): Promise<string> {
  if (!region) {
    const hint = 'set kafka.sasl.region or AWS_REGION';
    throw new CdcError('the region of the MSK cluster is not known', { kind: 'retry', hint });
  }
  const handler = requestHandler(false);
  try {
    const hostname = `kafka.${region}.amazonaws.com`;
    const signer = new SignatureV4({
      service: 'kafka-cluster',
      region,
      sha256: Sha256,
      applyChecksum: false,
      credentials: credentialChain({ parentClientConfig: { requestHandler: handler, region } }),
    });
    const request = {
      method: 'GET',
      protocol: 'https:',
      hostname,
      path: '/',
      headers: { host: hostname },
      query: { Action: 'kafka-cluster:Connect' },
    };
    const { query = {} } = await signer.presign(request, { expiresIn: TOKEN_SECONDS, signingDate: now });
    const parameters = new URLSearchParams({ ...(query as Record<string, string>), 'User-Agent': 'cdc' });
    // AWS reads a space as %20 only.
    const url = `https://${hostname}/?${parameters.toString().replaceAll('+', '%20')}`;
    return Buffer.from(url).toString('base64url');
  } finally {
    handler.destroy();
  }
}

/** The region in the name of a broker of MSK, serverless or not. */
export function mskRegion(brokers: readonly string[]): string | undefined {
  for (const broker of brokers) {
    const [, region] = /\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?:\d+$/.exec(broker) ?? [];
    if (region !== undefined) return region;
  }
  return undefined;
}

/** The hash that the signer of the AWS SDK asks for. */
class Sha256 {
  readonly #hash;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(chunk: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(chunk));
  }

  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#hash.digest());
  }

  reset(): void {}
}

const bytesOf = (data: string | ArrayBuffer | ArrayBufferView): Buffer =>
  typeof data === 'string'
    ? Buffer.from(data)
    : ArrayBuffer.isView(data)
      ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      : Buffer.from(data);
