import type { FirehoseClientConfig } from '@aws-sdk/client-firehose';
import { credentialChain } from './credentials.ts';
import { isLocal } from './local-endpoint.ts';
import { requestHandler } from './request-handler.ts';

/** How to reach a service of AWS, or a local one that speaks its protocol. */
export interface AwsConnection {
  region: string | undefined;
  endpoint: string | undefined;
}

/** A local service checks no signature. Fixed credentials save the SDK the search for real ones. */
const LOCAL_CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' };

type ClientOptions = Pick<
  FirehoseClientConfig,
  'region' | 'endpoint' | 'credentials' | 'credentialDefaultProvider' | 'maxAttempts' | 'requestHandler'
>;

/** What every client of the AWS SDK has in common. None retries: who calls knows whether to. */
export function awsClientOptions({ region, endpoint }: AwsConnection): ClientOptions {
  return {
    ...(region && { region }),
    ...(endpoint && { endpoint }),
    ...(isLocal(endpoint)
      ? { region: region ?? 'us-east-1', credentials: LOCAL_CREDENTIALS }
      : { credentialDefaultProvider: credentialChain }),
    maxAttempts: 1,
    requestHandler: requestHandler(isLocal(endpoint)),
  };
}
