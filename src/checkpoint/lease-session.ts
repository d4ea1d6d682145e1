import {
  type Connection,
  type ConnectionOptions,
  createConnection,
  type ResultSetHeader,
  type RowDataPacket,
} from 'mysql2/promise';
import { abortable } from '../runtime/abort.ts';
import { LEASE_TTL_MS } from './checkpoint-store.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const CLOSE_TIMEOUT_MS = 1_000;

/** One connection. After an error of the connection it is over: what waits for it fails. */
export class LeaseSession {
  readonly #connection: Connection;
  isOpen = true;
  readonly #ended = new AbortController();
  #running = 0;
  #usedAt = performance.now();

  private constructor(connection: Connection) {
    this.#connection = connection;
    connection.on('error', () => this.#end());
    connection.on('end', () => this.#end());
  }

  static async open(options: ConnectionOptions): Promise<LeaseSession> {
    const connection = await createConnection({ ...options, connectTimeout: CONNECT_TIMEOUT_MS, charset: 'utf8mb4' });
    const session = new LeaseSession(connection);
    // The server ends a session that is silent for so long, and gives its locks free.
    await session.query(`SET SESSION wait_timeout = ${LEASE_TTL_MS / 1000}, autocommit = 1`);
    return session;
  }

  /** Aborts once the session is over. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async query(sql: string, values: unknown[] = []): Promise<RowDataPacket[]> {
    return (await this.#run<RowDataPacket[]>(sql, values)) ?? [];
  }

  /** @returns the number of rows that a statement found */
  async execute(sql: string, values: unknown[]): Promise<number> {
    return (await this.#run<ResultSetHeader>(sql, values)).affectedRows;
  }

  /** Closes the session after a last statement, whose effect is there when this returns, if the server answers. */
  async closeAfter(sql: string, values: unknown[]): Promise<void> {
    if (!this.isOpen) return;
    await abortable(this.query(sql, values), AbortSignal.timeout(CLOSE_TIMEOUT_MS)).catch(() => {});
    await this.close();
  }

  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    // The server ends the session some time after it has read that. A socket that breaks would stay in its log.
    await abortable(this.#connection.end(), AbortSignal.timeout(CLOSE_TIMEOUT_MS)).catch(() => {});
    this.#end();
  }

  async #run<T extends RowDataPacket[] | ResultSetHeader>(sql: string, values: unknown[]): Promise<T> {
    // This process was stopped, and the server has ended the session.
    if (performance.now() - this.#usedAt > LEASE_TTL_MS) this.#end();
    if (!this.isOpen) throw new Error('the server ended the session');
    try {
      this.#usedAt = performance.now();
      this.#running++;
      const asked = this.#connection.query<T>({ sql, values, timeout: LEASE_TTL_MS });
      // mysql2 never settles what waits behind a statement that got no answer.
      const [result] = await abortable(asked, this.#ended.signal).finally(() => this.#running--);
      // The next statement, if one waits, is sent already.
      if (this.#running === 0) expectPacketZero(this.#connection);
      return result;
    } catch (error) {
      // Without an error number of the server, no answer came, and what comes later would belong to another question.
      if ((error as { errno?: number; fatal?: boolean }).fatal || !isServerError(error)) this.#end();
      throw error;
    }
  }

  #end(): void {
    this.isOpen = false;
    this.#ended.abort(new Error('the session with the server is over'));
    this.#connection.destroy();
  }
}

/**
 * A server that closes a silent session says so in a packet that it counts from zero. mysql2 expects that of an answer
 * alone, and would print a warning, which is no line of the log.
 */
function expectPacketZero(connection: Connection): void {
  (connection as unknown as { connection: { _resetSequenceId?(): void } }).connection._resetSequenceId?.();
}

const isServerError = (error: unknown): boolean => /^ER_/.test((error as { code?: string }).code ?? '');
