import { S3Client } from '@aws-sdk/client-s3';
import { credentialChain } from '../aws/credentials.ts';
import { isLocal } from '../aws/local-endpoint.ts';
import { requestHandler } from '../aws/request-handler.ts';
import { CdcError } from '../runtime/error.ts';

/** S3 names the region of a bucket to a client that asks here. */
const FIRST_REGION = 'us-east-1';

/**
 * A client with the credentials and proxies of the Firehose client. It does not retry: the store does, because it knows
 * how far an object was read.
 * @param region that of the bucket; undefined: that of the environment
 * @throws CdcError with exit code 2 if a variable of the environment names no proxy, no authorities or no S3
 */
export async function s3Client(region: string | undefined, env = process.env): Promise<S3Client> {
  const client = createClient(region, env);
  if (region !== undefined) return client;
  try {
    await client.config.region();
    return client;
  } catch {
    client.destroy();
    return createClient(FIRST_REGION, env);
  }
}

/**
 * Another S3 than that of AWS; undefined for AWS.
 * @throws CdcError with exit code 2 if the variable is no URL
 */
export function s3Endpoint(env = process.env): string | undefined {
  if (/^true$/i.test(env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS ?? '')) return undefined;
  const variable = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'].find((name) => env[name]);
  if (variable === undefined) return undefined;
  const endpoint = env[variable] as string;
  if (URL.canParse(endpoint) && /^https?:$/.test(new URL(endpoint).protocol)) return endpoint;
  throw new CdcError(`the environment variable ${variable} is not the URL of an S3`, {
    exitCode: 2,
    hint: 'use http://host:port or https://host',
  });
}

function createClient(region: string | undefined, env: NodeJS.ProcessEnv): S3Client {
  const endpoint = s3Endpoint(env);
  return new S3Client({
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    credentialDefaultProvider: credentialChain,
    maxAttempts: 1,
    // TLS and the length of the object protect the bytes. The SDK would compute each checksum on the main thread.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: requestHandler(isLocal(endpoint), env),
  });
}
