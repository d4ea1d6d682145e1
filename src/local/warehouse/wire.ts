/** Messages of PostgreSQL's protocol 3.0 that the front of the warehouse reads and writes. */

/** A whole message of a client. A message of the start has no type. */
export interface ClientMessage {
  /** The type letter; empty before the session has started. */
  type: string;
  /** All bytes, type and length included. */
  bytes: Buffer;
}

export const SSL_REQUEST = 80877103;
export const GSS_REQUEST = 80877104;
export const CANCEL_REQUEST = 80877102;
const HEADER = 5;

/** Cuts a stream of bytes into messages. */
export class MessageCutter {
  #chunks: Buffer[] = [];
  #size = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  /** The next whole message, or undefined until its last byte has arrived. */
  next(typed: boolean): ClientMessage | undefined {
    const header = typed ? HEADER : 4;
    if (this.#size < header) return undefined;
    const length = this.#head(header).readUInt32BE(header - 4) + header - 4;
    if (this.#size < length) return undefined;
    const head = this.#head(length);
    const bytes = head.subarray(0, length);
    this.#chunks[0] = head.subarray(length);
    this.#size -= length;
    return { type: typed ? String.fromCharCode(bytes[0] as number) : '', bytes };
  }

  /** One buffer with at least the first bytes. Chunks are joined once for each message, not once for each chunk. */
  #head(length: number): Buffer {
    if ((this.#chunks[0]?.length ?? 0) < length) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] as Buffer;
  }
}

export function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER);
  header.write(type, 'latin1');
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

export const SYNC = message('S', Buffer.alloc(0));

/** As a client of no special needs starts a session. */
export function startup(user: string, database: string): Buffer {
  const body = Buffer.from(`\0\x03\0\0user\0${user}\0database\0${database}\0\0`, 'latin1');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
}

export const query = (sql: string): Buffer => message('Q', Buffer.from(`${sql}\0`));

/** @param code SQLSTATE */
export const errorMessage = (severity: 'ERROR' | 'FATAL', code: string, text: string): Buffer =>
  message('E', Buffer.from(`S${severity}\0V${severity}\0C${code}\0M${text}\0\0`));

export const ready = (status: 'I' | 'T' | 'E'): Buffer => message('Z', Buffer.from(status));

export const copyInResponse = (binary: boolean): Buffer => message('G', Buffer.from([binary ? 1 : 0, 0, 0]));

/** No minor version of the protocol but the first, and no option of it. */
export const negotiateProtocol = (): Buffer => message('v', Buffer.alloc(8));

/** The SQL of a Query message, or of a Parse message without its name. */
export function sqlOf({ type, bytes }: ClientMessage): string {
  const from = type === 'P' ? bytes.indexOf(0, HEADER) + 1 : HEADER;
  return bytes.toString('utf8', from, bytes.indexOf(0, from));
}

const COMMENTS = /^(?:\s+|--[^\n]*\n|\/\*[\s\S]*?\*\/)*/;
const COPY_FROM_STDIN = /^copy\s[^;]*?\bfrom\s+stdin\b/i;

/** Whether a text reads data of its client: alone, so that the data can be sent with it, or among other statements. */
export function copiesFromClient(sql: string): 'alone' | 'among others' | undefined {
  const text = sql.replace(COMMENTS, '');
  if (COPY_FROM_STDIN.test(text)) return /;\s*\S/.test(text) ? 'among others' : 'alone';
  return /;\s*copy\s[^;]*?\bfrom\s+stdin\b/i.test(text) ? 'among others' : undefined;
}
