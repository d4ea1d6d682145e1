import { distance } from 'fastest-levenshtein';
import { awsError } from '../../aws/aws-errors.ts';
import type { AwsFailure } from '../../aws/aws-failure.ts';
import type { AwsService } from '../../aws/aws-service.ts';
import type { AwsConnection } from '../../aws/client-options.ts';
import { noteSignature } from '../../aws/signed-request.ts';
import { type Finding, shortList, warning } from '../../model/finding.ts';
import { CdcError } from '../../runtime/error.ts';
import { describeFailureFinding } from './describe-failure.ts';
import { CLOCK_SKEW_MS, clockSkewText, type FailureRecovery } from './failure-recovery.ts';

const DESCRIBE_TIMEOUT_MS = 5_000;
const LISTED_NAMES_MAX = 1_000;

/** How the streams of a service are described. */
export interface StreamDescriptions<Command extends { middlewareStack: unknown }, Output> {
  service: AwsService;
  connection: AwsConnection;
  recovery: FailureRecovery;
  command(stream: string): Command;
  send(command: Command, options: { abortSignal: AbortSignal }): Promise<Output>;
  /** The findings of one description. */
  check(output: Output, stream: string): Finding[] | Promise<Finding[]>;
  /** The names after `after`, and whether there are more. */
  list(after: string | undefined, options: { abortSignal: AbortSignal }): Promise<{ names: string[]; more: boolean }>;
  /** The time of AWS minus that of this machine, as the SDK took it from the responses. */
  clockOffsetMs(): number;
}

/**
 * Describes every stream and checks the descriptions. Only a record could show whether a stream accepts records.
 * @throws CdcError with exit code 2 if a variable of the environment names no proxy or no authorities
 */
export async function checkDescriptions<Command extends { middlewareStack: unknown }, Output>(
  streams: ReadonlySet<string>,
  descriptions: StreamDescriptions<Command, Output>,
): Promise<Finding[]> {
  const { service, connection, list } = descriptions;
  const describeAndCheck = async (stream: string): Promise<Finding[]> => {
    try {
      return await descriptions.check(await describe(stream, descriptions), stream);
    } catch (failure) {
      if (failure instanceof CdcError) throw failure;
      const finding = describeFailureFinding(failure as AwsFailure, stream, service, connection);
      const isNotFound = awsError((failure as AwsFailure).name ?? '').kind === 'streamNotFound';
      return [isNotFound ? { ...finding, fix: `${await nearStreams(list, stream)}${finding.fix}` } : finding];
    }
  };
  const findings = (await Promise.all([...streams].map(describeAndCheck))).flat();
  findings.push(...checkClock(descriptions.clockOffsetMs()));
  // If the endpoint does not answer, every stream has the same finding.
  return findings.filter(({ what }, i) => findings.findIndex((other) => other.what === what) === i);
}

/** Asks twice if the clock or the credentials were corrected in between. */
async function describe<Command extends { middlewareStack: unknown }, Output>(
  stream: string,
  { recovery, command, send }: StreamDescriptions<Command, Output>,
): Promise<Output> {
  const abortSignal = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS);
  const first = command(stream);
  const request = noteSignature(first);
  try {
    return await send(first, { abortSignal });
  } catch (failure) {
    if ((await recovery.correct(failure as AwsFailure, request)) === undefined) throw failure;
    return await send(command(stream), { abortSignal });
  }
}

function checkClock(offsetMs: number): Finding[] {
  if (Math.abs(offsetMs) < CLOCK_SKEW_MS) return [];
  const why = 'AWS rejects a signature that is more than five minutes old or early, and ts_ms of every event is wrong';
  return [warning(clockSkewText(offsetMs), why, 'let chrony, ntpd or systemd-timesyncd set the clock')];
}

/** The streams whose names are nearly this one, or what streams there are; empty if they cannot be listed. */
async function nearStreams(list: StreamDescriptions<never, never>['list'], stream: string): Promise<string> {
  const names: string[] = [];
  try {
    for (let more = true; more && names.length < LISTED_NAMES_MAX; ) {
      const page = await list(names.at(-1), { abortSignal: AbortSignal.timeout(DESCRIBE_TIMEOUT_MS) });
      names.push(...page.names);
      more = page.more && page.names.length > 0;
    }
  } catch {
    // The policy need not allow it.
  }
  if (names.length === 0) return '';
  const edits = (name: string): number => distance(name.toLowerCase(), stream.toLowerCase());
  const near = names
    .filter((name) => edits(name) <= Math.max(2, stream.length / 3))
    .sort((a, b) => edits(a) - edits(b));
  return near.length > 0 ? `did you mean ${shortList(near, 3)}? ` : `the streams there are ${shortList(names)}; `;
}
