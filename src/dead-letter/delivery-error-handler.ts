import { type ParsedEvent, parseEvent } from '../codec/formats/parse-event.ts';
import type { Config } from '../config/schema.ts';
import type { DeadLetterRequest, RetryReport } from '../model/delivery-report.ts';
import type { EncodedEvent } from '../model/encoded-event.ts';
import type { Table } from '../model/table.ts';
import { formatTableName } from '../model/table-filter.ts';
import type { Log } from '../runtime/log.ts';
import { DeadLetterStore } from './dead-letter-store.ts';

/** The log says of each stream at most so often that it fails. */
const RETRY_LOG_INTERVAL_MS = 10_000;

/** What is said and done about events that Firehose does not take, or not now. */
export class DeliveryErrorHandler {
  readonly #config: Config;
  readonly #log: Log;
  readonly #store: DeadLetterStore;
  readonly #keyColumns = new Map<string, string[]>();
  readonly #loggedAt = new Map<string, number>();
  /** Whether the operator has named the event of this line in `dead_letter.events`; undefined where none is named. */
  readonly isListedByOperator: ((event: EncodedEvent) => boolean) | undefined;

  constructor(config: Config, log: Log) {
    this.#config = config;
    this.#log = log;
    const { directory, max_bytes, events } = config.dead_letter;
    const name = config.format === 'flat' ? `${config.flat_prefix}seq` : 'seq';
    this.#store = new DeadLetterStore(directory, config.name, max_bytes);
    const named = events.map((seq) => Buffer.from(`"${name}":"${seq}"`));
    if (named.length > 0) {
      this.isListedByOperator = ({ bytes, from, to }) => {
        const line = bytes.subarray(from, to);
        return named.some((seq) => line.includes(seq));
      };
    }
  }

  /** Lines of this table, or of this version of it, follow. */
  table({ schema, name, columns, key }: Table): void {
    this.#keyColumns.set(
      formatTableName(schema, name),
      key.map((index) => columns[index]?.name ?? ''),
    );
  }

  /** Writes the event into a dead letter. */
  async deadLetter({ stream, event, reason, attempts }: DeadLetterRequest): Promise<void> {
    const summary = this.#summary(event);
    const { table, key, seq } = summary;
    await this.#store.write([{ stream, ...summary, reason, attempts, event }]);
    this.#log.warn({ stream, table, key, seq, why: reason }, 'an event is in the dead letters now');
  }

  /** Says that something failed and is tried again. */
  logRetry({ stream, reason, attempts, event }: RetryReport): void {
    const now = performance.now();
    if (now - (this.#loggedAt.get(stream) ?? Number.NEGATIVE_INFINITY) < RETRY_LOG_INTERVAL_MS) return;
    this.#loggedAt.set(stream, now);
    const { table, key, seq } = this.#summary(event());
    this.#log.warn(
      { stream, why: reason, attempts, oldest: { table, key, seq } },
      'Firehose did not take events; trying again',
    );
  }

  #summary(event: Buffer): ParsedEvent {
    const { format, flat_prefix } = this.#config;
    const { table } = parseEvent(event, format, [], flat_prefix);
    return parseEvent(event, format, this.#keyColumns.get(table) ?? [], flat_prefix);
  }
}
