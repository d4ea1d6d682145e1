import { sleepUnlessAborted } from '../../runtime/abort.ts';
import { type KafkaClient, type NewTopic, UNKNOWN_TOPIC } from './kafka-client.ts';
import { BATCH_RETRY_MAX_MS, TOPIC_GRACE_MS } from './limits.ts';
import { connectionOutcome, type FailedOutcome, refusedOutcome, throttled, topicOutcome } from './outcomes.ts';
import type { PendingSend } from './pending-send.ts';
import { batchError, errorText } from './protocol-errors.ts';

const RETRY_MS = 200;
export const TOPIC_ALREADY_EXISTS = 36;
/** Brokers can be away for a while, or another one can be asked. */
export const CREATE_AGAIN: ReadonlySet<number> = new Set([7, 38, 41]);

/** Waits until topics are known, and creates those that are missing if it may. */
export class TopicDirectory {
  readonly #client: KafkaClient;
  readonly #newTopic: Omit<NewTopic, 'name'> | undefined;
  #creating: Promise<unknown> = Promise.resolve();

  constructor(client: KafkaClient, newTopic?: Omit<NewTopic, 'name'>) {
    this.#client = client;
    this.#newTopic = newTopic;
  }

  /**
   * Resolves when the partitions of all topics are known, or the send is done. Its `problem` says what it waits for.
   * @returns why a topic cannot be written to
   */
  async find(topics: readonly string[], send: PendingSend, signal: AbortSignal): Promise<FailedOutcome | undefined> {
    const startedAt = performance.now();
    for (let attempt = 0; !send.isDone; attempt++) {
      if (attempt > 0)
        await sleepUnlessAborted(Math.min(RETRY_MS * attempt, BATCH_RETRY_MAX_MS), signal).catch(() => {});
      try {
        const failure = await this.#lookUp(topics, performance.now() - startedAt > TOPIC_GRACE_MS);
        if (failure === 'found') return undefined;
        if (failure.kind === 'rejected') return failure;
        send.problem = failure;
      } catch (error) {
        send.problem = connectionOutcome(error);
      }
    }
    return undefined;
  }

  async #lookUp(topics: readonly string[], isLate: boolean): Promise<FailedOutcome | 'found'> {
    await this.#client.refresh(topics);
    const missing = topics.filter((topic) => this.#client.topic(topic) === undefined);
    const [first] = missing;
    if (first === undefined) return 'found';
    const refused = missing.find((topic) => this.#errorOf(topic) !== UNKNOWN_TOPIC);
    if (refused !== undefined) {
      const code = this.#errorOf(refused);
      if (batchError(code).kind === 'refused') return topicOutcome(refused, code);
      return throttled(`${refused}: ${errorText(code)}`);
    }
    if (this.#newTopic !== undefined) return this.#create(missing, this.#newTopic);
    return isLate ? topicOutcome(first, UNKNOWN_TOPIC) : throttled(`there is no topic ${first}`);
  }

  #errorOf(topic: string): number {
    return this.#client.topicError(topic) ?? UNKNOWN_TOPIC;
  }

  /** One request at a time: of two for the same topic one would be refused. */
  async #create(names: readonly string[], newTopic: Omit<NewTopic, 'name'>): Promise<FailedOutcome> {
    const turn = this.#creating.then(() => this.#client.createTopics(names.map((name) => ({ name, ...newTopic }))));
    this.#creating = turn.catch(() => {});
    const failed = (await turn).find(({ errorCode }) => errorCode !== 0 && errorCode !== TOPIC_ALREADY_EXISTS);
    if (failed === undefined) return throttled('the topics are being created');
    const text = `cannot create the topic: ${errorText(failed.errorCode, failed.message)}`;
    if (CREATE_AGAIN.has(failed.errorCode)) return throttled(`${failed.name}: ${text}`);
    return refusedOutcome(failed.name, text, 'correct kafka.create_topics, or create the topic (docs/KAFKA.md)');
  }
}
