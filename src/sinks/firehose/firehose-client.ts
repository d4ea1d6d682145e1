import { FirehoseClient } from '@aws-sdk/client-firehose';
import { credentialChain } from './credentials.ts';
import { isLocal } from './local-endpoint.ts';
import { requestHandler } from './request-handler.ts';

/** How to reach Firehose. */
export interface FirehoseConnection {
  region: string | undefined;
  endpoint: string | undefined;
  /** Without a complete response in this time, in milliseconds, the outcome of a request is unknown. */
  timeoutMs?: number;
}

/** A client that does not retry. Delivery retries, because it knows which events have to wait. */
export function firehoseClient({ region, endpoint }: FirehoseConnection): FirehoseClient {
  return new FirehoseClient({
    ...(region && { region }),
    ...(endpoint && { endpoint }),
    ...(isLocal(endpoint)
      ? { region: region ?? 'us-east-1', credentials: LOCAL_CREDENTIALS }
      : { credentialDefaultProvider: credentialChain }),
    maxAttempts: 1,
    requestHandler: requestHandler(isLocal(endpoint)),
  });
}

/** A local Firehose checks no signature. Fixed credentials save the SDK the search for real ones. */
const LOCAL_CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' };
