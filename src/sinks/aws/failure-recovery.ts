import { awsError } from '../../aws/aws-errors.ts';
import { type AwsFailure, failureText } from '../../aws/aws-failure.ts';
import type { AwsService } from '../../aws/aws-service.ts';
import type { RequestSignature, SentRequest } from '../../aws/signed-request.ts';
import { abortable } from '../../runtime/abort.ts';
import type { RecordOutcome } from '../sink.ts';
import { failureOutcome } from './outcomes.ts';

/** What a client of the AWS SDK has for this. */
interface RecoverableClient {
  config: {
    credentials: (options: { forceRefresh: true }) => Promise<{ accessKeyId?: string }>;
    systemClockOffset: number;
  };
}

/** The status of a stream, as the service describes it: CREATING, ACTIVE, … */
type StatusOf = (stream: string, abortSignal: AbortSignal) => Promise<string | undefined>;

/** AWS allows five minutes. The SDK corrects from four on. */
export const CLOCK_SKEW_MS = 240_000;
/** The provider is asked at most this often, because each lane that failed asks. */
const RENEWAL_INTERVAL_MS = 1_000;
/** A new access key is not known everywhere at once (IAM User Guide: changes are eventually visible). */
const NEW_KEY_GRACE_MS = 30_000;
/** A provider or a description that does not come in this time changes nothing. */
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Rejections that end once something is done about them: a clock that is off, credentials that were replaced, a stream
 * that is being created. One for each client.
 */
export class FailureRecovery {
  readonly #client: RecoverableClient;
  readonly #service: AwsService;
  readonly #statusOf: StatusOf;
  #renewal: Promise<void> | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #keyChangedAt = Number.NEGATIVE_INFINITY;
  #accessKeyId: string | undefined;
  #hasAccepted = false;
  /** When other credentials excused a rejection. They do once: a provider can give a new access key each time. */
  #replacedAt: number | undefined;
  #wasCreating = false;
  /** When the stream was first described as ACTIVE. What was sent before can have met it while it was being created. */
  #activeSince: number | undefined;

  constructor(client: RecoverableClient, service: AwsService, statusOf: StatusOf) {
    this.#client = client;
    this.#service = service;
    this.#statusOf = statusOf;
  }

  /**
   * The outcome of every record of a call that failed as a whole. If something can be done about a rejection, it is an
   * outcome that is sent again: nothing was stored.
   */
  async outcomeOf(failure: AwsFailure, request: SentRequest, stream: string): Promise<RecordOutcome> {
    const outcome = failureOutcome(failure, this.#service);
    if (outcome.kind === 'accepted' || outcome.kind === 'unknown') return outcome;
    // An invalid request is then not the stream's fault.
    if (outcome.kind === 'rejected' && outcome.scope !== 'stream' && this.#hasAccepted) return outcome;
    const remedy = (await this.correct(failure, request)) ?? (await this.#whyNotActive(failure, request, stream));
    return remedy === undefined ? outcome : { kind: 'throttled', reason: `${outcome.reason}; ${remedy}` };
  }

  /** The stream has accepted a record. */
  accepted(): void {
    this.#hasAccepted = true;
    this.#replacedAt = undefined;
  }

  /** What makes the next request differ: its time or its credentials. Undefined if it would be the same. */
  async correct(failure: AwsFailure, { sentAt, signature }: SentRequest): Promise<string | undefined> {
    const { kind } = awsError(failure.name ?? '');
    if (kind !== 'credentials' && kind !== 'expiredCredentials' && kind !== 'accessDenied') return undefined;
    const skewMs = signature && clockSkewOf(failure, signature);
    // The SDK has noted the difference: it signs the next request with the time of AWS.
    if (skewMs !== undefined && Math.abs(skewMs) >= CLOCK_SKEW_MS) {
      return clockSkewText(this.#client.config.systemClockOffset);
    }
    const replacedAt = kind === 'expiredCredentials' ? undefined : this.#replacedAt;
    // The requests of the other lanes were under way.
    if (replacedAt !== undefined && sentAt < replacedAt) return REPLACED;
    const isNewKey = () => kind === 'credentials' && performance.now() - this.#keyChangedAt < NEW_KEY_GRACE_MS;
    if (replacedAt !== undefined && !isNewKey()) return undefined;
    await this.#renewCredentials(signature?.accessKeyId);
    const hasOther = this.#accessKeyId !== undefined && this.#accessKeyId !== signature?.accessKeyId;
    if (hasOther && replacedAt === undefined) {
      if (kind !== 'expiredCredentials') this.#replacedAt ??= performance.now();
      return REPLACED;
    }
    return isNewKey() ? 'AWS does not know the new access key yet' : undefined;
  }

  /** Asks the provider again. Without an answer the credentials stay as they are. */
  async #renewCredentials(used: string | undefined): Promise<void> {
    if (performance.now() - this.#renewedAt > RENEWAL_INTERVAL_MS) {
      this.#renewal ??= this.#askProvider(used).finally(() => {
        this.#renewal = undefined;
        this.#renewedAt = performance.now();
      });
    }
    await this.#renewal;
  }

  async #askProvider(used: string | undefined): Promise<void> {
    const answer = this.#client.config.credentials({ forceRefresh: true });
    const { accessKeyId } = await abortable(answer, AbortSignal.timeout(ANSWER_TIMEOUT_MS)).catch(() => NO_CREDENTIALS);
    const isChanged = accessKeyId !== undefined && accessKeyId !== (this.#accessKeyId ?? used);
    if (isChanged && this.#replacedAt === undefined) this.#keyChangedAt = performance.now();
    this.#accessKeyId = accessKeyId;
  }

  /** A stream that is being created does not exist yet, or rejects everything. */
  async #whyNotActive({ name = '' }: AwsFailure, { sentAt }: SentRequest, stream: string): Promise<string | undefined> {
    const { kind } = awsError(name);
    if (kind !== 'streamNotFound' && kind !== 'request') return undefined;
    try {
      const status = await this.#statusOf(stream, AbortSignal.timeout(ANSWER_TIMEOUT_MS));
      if (status === 'CREATING') {
        this.#wasCreating = true;
        return `the stream ${stream} is CREATING`;
      }
      // An invalid request can be the fault of its records.
      if (status !== 'ACTIVE' || (kind === 'request' && !this.#wasCreating)) return undefined;
      this.#activeSince ??= performance.now();
      return sentAt < this.#activeSince ? `the stream ${stream} is ACTIVE now` : undefined;
    } catch (failure) {
      // AWS throttles descriptions early. Only an answer can stop the daemon.
      const isAnswer = failureOutcome(failure as AwsFailure, this.#service).kind === 'rejected';
      return isAnswer ? undefined : `its description failed: ${failureText(failure as AwsFailure)}`;
    }
  }
}

const REPLACED = 'the credentials were replaced, and the new ones are used';
const NO_CREDENTIALS: { accessKeyId?: string } = {};

/** How far the time of AWS is past that of the signature; undefined without a date in the response. */
function clockSkewOf({ $response }: AwsFailure, { signedAt }: RequestSignature): number | undefined {
  const skewMs = Date.parse($response?.headers?.date ?? '') - signedAt;
  return Number.isNaN(skewMs) ? undefined : skewMs;
}

/** @param offsetMs the time of AWS minus that of this machine */
export function clockSkewText(offsetMs: number): string {
  const seconds = Math.round(Math.abs(offsetMs) / 1000);
  const minutes = Math.round(seconds / 60);
  const size =
    seconds < 120 ? `${seconds} seconds` : minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
  return `the clock of this machine is ${size} ${offsetMs > 0 ? 'behind' : 'ahead of'} that of AWS; requests are signed with the time of AWS`;
}
