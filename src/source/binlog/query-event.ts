import type { LexicalModes } from '../statement/tokenizer.ts';
import type { ByteCursor } from './byte-cursor.ts';

/** A Query event up to its text: the session of the statement. */
export interface QueryEvent {
  /** The session. Its temporary tables have names that others can have too. */
  threadId: number;
  /** The error with which the statement ended on the source; 0 for none. It can have done a part of its work. */
  errorCode: number;
  /** The default schema. */
  schema: string;
  modes: LexicalModes;
  /** The collation whose character set the text has; undefined if the event does not say. */
  collation: number | undefined;
  /**
   * The schemas that the statement accesses to write, through triggers, functions and views too, and perhaps more.
   * Undefined if the event does not tell: on MariaDB, for most DDL, and beyond 16 schemas.
   */
  updatedSchemas: readonly string[] | undefined;
}

/** Status variables (MySQL: statement_events.h, enum Query_event_status_vars; MariaDB: log_event.h). */
const SQL_MODE = 1;
const CATALOG = 2;
const CHARSET = 4;
const TIME_ZONE = 5;
const CATALOG_NZ = 6;
const INVOKER = 11;
const UPDATED_SCHEMAS = 12;
/** The lengths of the others, up to which a reader can pass over them. */
const FIXED_LENGTHS: Readonly<Record<number, number>> = {
  0: 4, // flags2
  3: 4, // auto_increment_increment and _offset
  7: 2, // lc_time_names
  8: 2, // character_set_database
  9: 8, // which tables of a multi-table UPDATE it updates
  10: 4, // master_data_written
  13: 3, // microseconds
  16: 1, // explicit_defaults_for_timestamp
  17: 8, // xid of DDL
  18: 2, // default_collation_for_utf8mb4
  19: 1, // sql_require_primary_key
  20: 1, // default_table_encryption
  128: 3, // MariaDB: microseconds
  129: 8, // MariaDB: xid of DDL
};
/** The count that stands for "more schemas than the event can name" (OVER_MAX_DBS_IN_EVENT_MTS). */
const TOO_MANY_SCHEMAS = 254;

const MODE_ANSI_QUOTES = 0x4;
const MODE_NO_BACKSLASH_ESCAPES = 0x100000;

/**
 * Reads the body of a Query event up to its text (MySQL protocol documentation, "QUERY_EVENT": thread id 4, execution
 * time 4, schema length 1, error code 2, length of the status variables 2).
 * @param extraHeader bytes between these and the status variables: EXECUTE_LOAD_QUERY has 13
 */
export function readQueryEvent(cursor: ByteCursor, mariadb: boolean, extraHeader = 0): QueryEvent {
  const threadId = cursor.u32();
  cursor.skip(4);
  const schemaLength = cursor.u8();
  const errorCode = cursor.u16();
  const variablesLength = cursor.u16();
  cursor.skip(extraHeader);
  const event = readStatusVariables(cursor.subCursor(variablesLength), mariadb);
  event.threadId = threadId;
  event.errorCode = errorCode;
  event.schema = cursor.text(schemaLength);
  cursor.skip(1);
  return event;
}

function readStatusVariables(cursor: ByteCursor, mariadb: boolean): QueryEvent {
  const modes = { ansiQuotes: false, noBackslashEscapes: false, nbspIsSpace: false, mariadb };
  const event: QueryEvent = {
    ...{ threadId: 0, errorCode: 0, schema: '' },
    ...{ modes, collation: undefined, updatedSchemas: undefined },
  };
  while (cursor.remaining > 0) {
    const code = cursor.u8();
    switch (code) {
      case SQL_MODE: {
        const mode = cursor.u32();
        cursor.skip(4);
        modes.ansiQuotes = (mode & MODE_ANSI_QUOTES) !== 0;
        modes.noBackslashEscapes = (mode & MODE_NO_BACKSLASH_ESCAPES) !== 0;
        break;
      }
      case CHARSET:
        event.collation = cursor.u16();
        cursor.skip(4);
        break;
      case CATALOG:
        cursor.skip(cursor.u8() + 1);
        break;
      case TIME_ZONE:
      case CATALOG_NZ:
        cursor.skip(cursor.u8());
        break;
      case INVOKER:
        cursor.skip(cursor.u8());
        cursor.skip(cursor.u8());
        break;
      case UPDATED_SCHEMAS:
        event.updatedSchemas = readUpdatedSchemas(cursor);
        break;
      default: {
        const length = FIXED_LENGTHS[code];
        // A variable of a later version. All that matter here stand before it.
        if (length === undefined) return event;
        cursor.skip(length);
      }
    }
  }
  return event;
}

/** Names that each end with a NUL. */
function readUpdatedSchemas(cursor: ByteCursor): string[] | undefined {
  const count = cursor.u8();
  if (count === TOO_MANY_SCHEMAS) return undefined;
  const schemas: string[] = [];
  for (let i = 0; i < count; i++) {
    const length = cursor.bytes.subarray(cursor.at, cursor.end).indexOf(0);
    schemas.push(cursor.text(length < 0 ? cursor.remaining + 1 : length));
    cursor.skip(1);
  }
  return schemas;
}

/**
 * Whether the statement is BEGIN, by the length of its text: no other one has five letters and starts with a B.
 * Nearly all Query events of a stream are BEGIN, so nothing else of them is read.
 */
export function isBegin({ bytes, at, end }: ByteCursor): boolean {
  if (end - at < HEADER_LENGTH) return false;
  const schemaLength = bytes[at + 8] as number;
  const text = at + HEADER_LENGTH + bytes.readUInt16LE(at + 11) + schemaLength + 1;
  return end - text === 5 && bytes[text] === 0x42;
}

/** Thread id 4, execution time 4, schema length 1, error code 2, length of the status variables 2. */
const HEADER_LENGTH = 13;
