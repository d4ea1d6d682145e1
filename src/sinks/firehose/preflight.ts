import {
  DescribeDeliveryStreamCommand,
  type FirehoseClient,
  ListDeliveryStreamsCommand,
} from '@aws-sdk/client-firehose';
import { distance } from 'fastest-levenshtein';
import type { Config } from '../../config/schema.ts';
import { type Finding, shortList, warning } from '../../model/finding.ts';
import { CdcError } from '../../runtime/error.ts';
import { awsError } from './aws-errors.ts';
import type { AwsFailure } from './aws-failure.ts';
import { checkStream, describeFailureFinding } from './check-stream.ts';
import { CLOCK_SKEW_MS, clockSkewText, FailureRecovery, type SentRequest, signatureOf } from './failure-recovery.ts';
import { firehoseClient } from './firehose-client.ts';

const DESCRIBE_TIMEOUT_MS = 5_000;
const LISTED_NAMES_MAX = 1_000;

/**
 * Describes every stream and checks the descriptions. Only a record could show whether a stream accepts records.
 * @throws CdcError with exit code 2 if a variable of the environment names no proxy or no authorities
 */
export async function checkStreams(config: Config): Promise<Finding[]> {
  const { firehose } = config;
  const client = firehoseClient({ region: firehose.region, endpoint: firehose.endpoint });
  const recovery = new FailureRecovery(client);
  const describeAndCheck = async (stream: string): Promise<Finding[]> => {
    try {
      const { DeliveryStreamDescription } = await describe(client, recovery, stream);
      if (!DeliveryStreamDescription) throw new Error('the response describes no stream');
      return checkStream(DeliveryStreamDescription, { ...firehose, ...config });
    } catch (failure) {
      if (failure instanceof CdcError) throw failure;
      const finding = describeFailureFinding(failure as AwsFailure, stream, firehose);
      const isNotFound = awsError((failure as AwsFailure).name ?? '').kind === 'streamNotFound';
      return [isNotFound ? { ...finding, fix: `${await nearStreams(client, stream)}${finding.fix}` } : finding];
    }
  };
  const streams = new Set([firehose.stream, ...Object.values(firehose.routes)]);
  try {
    const findings = (await Promise.all([...streams].map(describeAndCheck))).flat();
    findings.push(...checkClock(client.config.systemClockOffset));
    // If the endpoint does not answer, every stream has the same finding.
    return findings.filter(({ what }, i) => findings.findIndex((other) => other.what === what) === i);
  } finally {
    client.destroy();
  }
}

/** Asks twice if the clock or the credentials were corrected in between. */
async function describe(client: FirehoseClient, recovery: FailureRecovery, stream: string) {
  const abortSignal = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS);
  const request: SentRequest = { sentAt: performance.now(), signature: undefined };
  const send = () => {
    const command = new DescribeDeliveryStreamCommand({ DeliveryStreamName: stream });
    command.middlewareStack.add(
      (next) => (args) => {
        request.signature = signatureOf(args.request);
        return next(args);
      },
      { step: 'finalizeRequest', priority: 'low', name: 'signatureMiddleware' },
    );
    return client.send(command, { abortSignal });
  };
  try {
    return await send();
  } catch (failure) {
    if ((await recovery.correct(failure as AwsFailure, request)) === undefined) throw failure;
    return await send();
  }
}

/** @param offsetMs the time of AWS minus that of this machine, as the SDK took it from the responses */
function checkClock(offsetMs: number): Finding[] {
  if (Math.abs(offsetMs) < CLOCK_SKEW_MS) return [];
  const why = 'AWS rejects a signature that is more than five minutes old or early, and ts_ms of every event is wrong';
  return [warning(clockSkewText(offsetMs), why, 'let chrony, ntpd or systemd-timesyncd set the clock')];
}

/** The streams whose names are nearly this one, or what streams there are; empty if they cannot be listed. */
async function nearStreams(client: FirehoseClient, stream: string): Promise<string> {
  const names: string[] = [];
  try {
    for (let more = true; more && names.length < LISTED_NAMES_MAX; ) {
      const after = names.at(-1);
      const command = new ListDeliveryStreamsCommand({
        Limit: 100,
        ...(after !== undefined && { ExclusiveStartDeliveryStreamName: after }),
      });
      const abortSignal = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS);
      const { DeliveryStreamNames = [], HasMoreDeliveryStreams } = await client.send(command, { abortSignal });
      names.push(...DeliveryStreamNames);
      more = HasMoreDeliveryStreams === true && DeliveryStreamNames.length > 0;
    }
  } catch {
    // The policy need not allow ListDeliveryStreams.
  }
  if (names.length === 0) return '';
  const edits = (name: string): number => distance(name.toLowerCase(), stream.toLowerCase());
  const near = names
    .filter((name) => edits(name) <= Math.max(2, stream.length / 3))
    .sort((a, b) => edits(a) - edits(b));
  return near.length > 0 ? `did you mean ${shortList(near, 3)}? ` : `the streams there are ${shortList(names)}; `;
}
