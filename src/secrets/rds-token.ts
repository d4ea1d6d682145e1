import { Signer } from '@aws-sdk/rds-signer';
import type { AwsFailure } from '../aws/aws-failure.ts';
import { credentialChain } from '../aws/credentials.ts';
import { requestHandler } from '../aws/request-handler.ts';
import type { IamAuth } from '../model/source-connection.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import { credentialsError } from './secret-error.ts';

/**
 * A token of RDS's IAM authentication: a signed URL that is the password for 15 minutes. It is made on this machine;
 * only the credentials can need a request. Each attempt to connect gets its own.
 * @throws CdcError
 */
export async function createToken(
  { host, port, user }: { host: string; port: number; user: string },
  iam: IamAuth,
  section: string,
): Promise<string> {
  const [hostname = host, ownPort] = iam.host?.split(':') ?? [];
  const region = iam.region ?? rdsRegion(hostname);
  const handler = requestHandler(false);
  try {
    const signer = new Signer({
      hostname,
      port: ownPort === undefined ? port : Number(ownPort),
      username: user,
      ...(region !== undefined && { region }),
      credentials: credentialChain({ parentClientConfig: { requestHandler: handler, ...(region && { region }) } }),
    });
    return await signer.getAuthToken();
  } catch (error) {
    if (error instanceof CdcError) throw error;
    const failure = error as AwsFailure;
    throw credentialsError(failure, `${section}.iam_auth.region`) ?? asCdcError(error);
  } finally {
    handler.destroy();
  }
}

/** The region in the name of an RDS endpoint, those of China included. */
export const rdsRegion = (host: string): string | undefined =>
  (/\.([a-z0-9-]+)\.rds\.amazonaws\.com$/.exec(host) ?? /\.rds\.([a-z0-9-]+)\.amazonaws\.com\.cn$/.exec(host))?.[1];
