import { type ParsedEvent, parseEvent } from '../codec/formats/parse-event.ts';
import type { Config } from '../config/schema.ts';
import type { DeadLetterRequest, ObstacleReport, RecentDeadLetter, RetryReport } from '../model/delivery-report.ts';
import type { EncodedEvent } from '../model/encoded-event.ts';
import type { Table } from '../model/table.ts';
import { formatTableName } from '../model/table-filter.ts';
import type { Log } from '../runtime/log.ts';
import { DeadLetterStore } from './dead-letter-store.ts';

/** Minimum time between two retry warnings of one stream. */
const RETRY_LOG_INTERVAL_MS = 10_000;
/** Tables whose key columns are known, the latest ones: names of new tables can come without end. */
const TABLES_MAX = 20_000;

/** Handles events that were not accepted: moves them to the dead letters, or logs that they are sent again. */
export class DeliveryErrorHandler {
  readonly #config: Config;
  readonly #log: Log;
  readonly #onMoved: ((letter: RecentDeadLetter) => void) | undefined;
  readonly #store: DeadLetterStore;
  readonly #keyColumns = new Map<string, string[]>();
  readonly #loggedAt = new Map<string, number>();
  /** Whether the event is listed in `dead_letter.events`. Undefined if the list is empty. */
  readonly shouldDeadLetter: ((event: EncodedEvent) => boolean) | undefined;

  /** @param onMoved hears of each dead letter once its file is durable */
  constructor(config: Config, log: Log, onMoved?: (letter: RecentDeadLetter) => void) {
    this.#config = config;
    this.#log = log;
    this.#onMoved = onMoved;
    const { directory, max_bytes, events } = config.dead_letter;
    const seqField = config.format === 'flat' ? `${config.flat_prefix}seq` : 'seq';
    this.#store = new DeadLetterStore(directory, config.name, max_bytes);
    const listedMembers = events.map((seq) => Buffer.from(`"${seqField}":"${seq}"`));
    if (listedMembers.length > 0) {
      this.shouldDeadLetter = ({ bytes, from, to }) => {
        const line = bytes.subarray(from, to);
        return listedMembers.some((member) => line.includes(member));
      };
    }
  }

  /** Sets the key columns of a table. Call it before the first event of each version of the table. */
  registerTable({ schema, name, columns, key }: Table): void {
    const table = formatTableName(schema, name);
    this.#keyColumns.delete(table);
    this.#keyColumns.set(
      table,
      key.map((index) => columns[index]?.name ?? ''),
    );
    if (this.#keyColumns.size > TABLES_MAX) {
      const [oldest] = this.#keyColumns.keys();
      this.#keyColumns.delete(oldest as string);
    }
  }

  /** Writes the event into a dead letter. Resolves when the file is durable. */
  async deadLetter({ stream, event, reason, attempts }: DeadLetterRequest): Promise<void> {
    const parsed = this.#parse(event);
    const { table, seq } = parsed;
    await this.#store.write([{ stream, ...parsed, reason, attempts, event }]);
    // Without the key: the log holds no values of rows. The file names it.
    const file = this.#store.pathOf(seq);
    this.#log.warn({ stream, table, seq, file, why: reason }, 'event moved to the dead letters');
    this.#onMoved?.({ at: new Date().toISOString(), stream, table, seq, why: reason });
  }

  /** Logs that events failed and are sent again, at most once per interval and stream. */
  logRetry({ stream, reason, attempts, event }: RetryReport): void {
    if (!this.#mayLog(stream)) return;
    const { table, seq } = this.#parse(event());
    this.#log.warn(
      { stream, why: reason, attempts, oldest: { table, seq } },
      'the stream did not accept events; retrying',
    );
  }

  /** Logs what is in the way of events that a sink sends again by itself, as often. */
  logObstacle({ stream, reason }: ObstacleReport): void {
    if (this.#mayLog(stream)) this.#log.warn({ stream, why: reason }, 'events of the stream wait; retrying');
  }

  /** The table and the `seq` of a line, without any value of its row. */
  describe(line: Buffer): { table: string; seq: string } {
    const { format, flat_prefix } = this.#config;
    const { table, seq } = parseEvent(line, format, [], flat_prefix);
    return { table, seq };
  }

  /** Whether the interval since the last line about the stream is over. A line follows if it is. */
  #mayLog(stream: string): boolean {
    const now = performance.now();
    if (now - (this.#loggedAt.get(stream) ?? Number.NEGATIVE_INFINITY) < RETRY_LOG_INTERVAL_MS) return false;
    this.#loggedAt.set(stream, now);
    return true;
  }

  #parse(event: Buffer): ParsedEvent {
    const { format, flat_prefix } = this.#config;
    const { table } = parseEvent(event, format, [], flat_prefix);
    return parseEvent(event, format, this.#keyColumns.get(table) ?? [], flat_prefix);
  }
}
