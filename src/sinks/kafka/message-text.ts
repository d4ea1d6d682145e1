import type { ValueOptions } from '../../config/schema.ts';
import { schemasConflict } from '../../config/schemas-conflict.ts';
import type { ColumnRule } from '../../model/column-rules.ts';
import { SEQ_LENGTH } from '../../model/seq.ts';
import type { Table } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import type { RecordEvent } from '../sink.ts';
import { LineLayout } from './line-layout.ts';
import { type Completeness, keySchema, type SchemaOptions, valueSchema } from './message-schema.ts';
import { topicName } from './topic-name.ts';

/** A message, before it has a partition. Its buffers are those of the event: they are valid as long as these are. */
export interface KafkaMessage {
  key: Buffer | null;
  /** The bytes of the value, in buffers that follow each other; null for a tombstone. */
  value: readonly Buffer[] | null;
  headers: readonly (readonly [string, Buffer])[];
}

export interface MessageOptions {
  /** The first part of the names of schemas: `name` of the configuration. */
  topicPrefix: string;
  format: 'debezium' | 'flat' | 'maxwell';
  /** Whether key and value have their schema beside them, as `schemas.enable` of Connect's JSON converter. */
  schemas: boolean;
  /** Whether the deletion of a key is followed by a message without a value, which compaction needs. */
  tombstones: boolean;
  flatPrefix: string;
  values: ValueOptions;
  /** The rules of `columns:`, as the writer of the events has them. Schemas depend on them. */
  columnRule?: (schema: string, table: string, column: string) => ColumnRule | undefined;
}

/** The header with the `seq` of the event: a tombstone has no other. It costs 45 bytes of a message. */
export const SEQ_HEADER = 'cdc.seq';

const CLOSE = Buffer.from('}');

/** What the messages of a table version share. */
interface TableMessages {
  /** What the names of its schemas begin with: the topic that Debezium would send it to. */
  schemaName: string;
  /** `{"schema":…,"payload":` of the key. */
  key: Buffer;
  /** The same of the value, made when it is first needed. */
  values: Partial<Record<Completeness, Buffer>>;
}

/** Makes the messages of events: key, value and headers. Nothing of a line is copied or parsed. */
export class MessageWriter {
  readonly #options: MessageOptions;
  /** Undefined without schemas. */
  readonly #schemas: SchemaOptions | undefined;
  readonly #layout: LineLayout;
  readonly #tables = new WeakMap<Table, TableMessages>();

  /** @throws CdcError where a value has no type of Kafka Connect, and `schemas` is set */
  constructor(options: MessageOptions) {
    const { format, flatPrefix, values, columnRule = () => undefined } = options;
    this.#options = options;
    this.#layout = new LineLayout(format, flatPrefix);
    if (!options.schemas) return;
    const conflict = schemasConflict(options);
    if (conflict !== undefined || format === 'maxwell') {
      throw new CdcError(`${conflict?.path.join('.')} ${conflict?.message}`, { exitCode: 2 });
    }
    this.#schemas = { format, flatPrefix, values, columnRule };
  }

  /**
   * The message of an event, and the tombstone after the deletion of a key.
   * @param line the line of the event, with its newline
   */
  messagesOf({ table, key: keyText, op }: RecordEvent, line: Buffer): KafkaMessage[] {
    const { tombstones } = this.#options;
    const shared = this.#tables.get(table) ?? this.#share(table);
    const schemas = this.#schemas;
    const seqAt = this.#layout.seqAt(line);
    const headers: KafkaMessage['headers'] = [[SEQ_HEADER, line.subarray(seqAt, seqAt + SEQ_LENGTH)]];
    const text = line.subarray(0, line.length - 1);
    let key: Buffer | null = keyText.length === 0 ? null : keyText;
    let value: readonly Buffer[];
    if (schemas === undefined) value = [text];
    else {
      if (key !== null) key = Buffer.concat([shared.key, key, CLOSE]);
      value = [this.#valuePrefix(shared, table, this.#completeness(op, line, seqAt)), text, CLOSE];
    }
    const message = { key, value, headers };
    if (op !== 'd' || key === null || !tombstones) return [message];
    return [message, { key, value: null, headers }];
  }

  #completeness(op: RecordEvent['op'], line: Buffer, seqAt: number): Completeness {
    if (op === 't') return 'none';
    return this.#layout.isPartial(line, seqAt) ? 'partial' : 'full';
  }

  #share(table: Table): TableMessages {
    const schemaName = topicName(this.#options.topicPrefix, table.schema, table.name);
    const schemas = this.#schemas;
    const key =
      schemas === undefined || table.key.length === 0
        ? Buffer.alloc(0)
        : schemaPrefix(keySchema(table, schemaName, schemas));
    const shared: TableMessages = { schemaName, key, values: {} };
    this.#tables.set(table, shared);
    return shared;
  }

  #valuePrefix({ schemaName, values }: TableMessages, table: Table, completeness: Completeness): Buffer {
    const known = values[completeness];
    if (known !== undefined) return known;
    const made = schemaPrefix(valueSchema(table, schemaName, this.#schemas as SchemaOptions, completeness));
    values[completeness] = made;
    return made;
  }
}

const schemaPrefix = (schema: object): Buffer => Buffer.from(`{"schema":${JSON.stringify(schema)},"payload":`);
