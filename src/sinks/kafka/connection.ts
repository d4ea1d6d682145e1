import { isIP } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { Connection, type SASLOptions } from '@platformatic/kafka';

export interface BrokerAddress {
  host: string;
  port: number;
}

/** How every connection to a broker is made. */
export interface BrokerConnectionSettings {
  clientId: string;
  connectTimeoutMs: number;
  /** Without an answer in this time the connection is closed. */
  requestTimeoutMs: number;
  /** Read for each connection, because files can be replaced. @throws CdcError */
  tls?: (() => TlsOptions) | undefined;
  sasl?: (() => SASLOptions) | undefined;
}

/** A session that ends sooner after it began is not renewed: the connection just ends with it. */
const SESSION_MS_MIN = 1_000;
/** Above what is ever in flight: the timeout of a request that waited in the library would begin too late. */
const INFLIGHT_MAX = 1_000;
/** What begins with a larger length is no answer: a text, a greeting of MySQL, an alert of TLS. */
const ANSWER_BYTES_MAX = 100 * 1024 * 1024;

export const NOT_KAFKA = 'NOT_KAFKA';

/** The other side did not answer as a broker does. */
class NotKafkaError extends Error {
  readonly code = NOT_KAFKA;
}

export type KafkaCallback<T> = (error: Error | null, answer?: T) => void;

/**
 * The connection of the library, without its re-authentication: that does not hold other requests back, and the broker
 * closes the connection on them. It is replaced by another one instead.
 */
class SessionConnection extends Connection {
  onSessionEnds: () => void = () => {};
  readonly #openedAt = performance.now();

  override reauthenticate(): void {
    if (performance.now() - this.#openedAt >= SESSION_MS_MIN) this.onSessionEnds();
  }
}

/** A connection to one broker, until its first failure. Whoever uses it opens another then. */
export class BrokerConnection {
  readonly #connection: SessionConnection;
  #inFlight = 0;
  #isRetired = false;
  #failure: Error | undefined;
  #hasData = false;

  private constructor(connection: SessionConnection) {
    this.#connection = connection;
    connection.onSessionEnds = () => this.#retire();
  }

  /** @throws the library's error, or the CdcError of a file that cannot be read */
  static async open({ host, port }: BrokerAddress, settings: BrokerConnectionSettings): Promise<BrokerConnection> {
    const tls = settings.tls?.();
    const sasl = settings.sasl?.();
    const connection = new SessionConnection(settings.clientId, {
      connectTimeout: settings.connectTimeoutMs,
      requestTimeout: settings.requestTimeoutMs,
      maxInflights: INFLIGHT_MAX,
      ...(tls && { tls }),
      ...(tls && isIP(host) === 0 && { tlsServerName: host }),
      ...(sasl && { sasl }),
    });
    const opened = new BrokerConnection(connection);
    // Without a listener an error would end the process. The socket gives the reason of what then fails.
    connection.on('error', (error: Error) => {
      opened.#failure ??= error;
    });
    connection.on('close', () => opened.#onClose());
    try {
      await new Promise<void>((resolve, reject) => {
        connection.connect(host, port, (error: Error | null) => (error ? reject(error) : resolve()));
        connection.socket?.once('data', (data: Buffer) => opened.#onFirstData(data));
      });
    } catch (error) {
      opened.close();
      throw opened.#failure ?? error;
    }
    return opened;
  }

  /** Whether a request can be sent on it. */
  get isUsable(): boolean {
    return !this.#isRetired && this.#connection.isConnected();
  }

  /**
   * Sends a request by what the library offers for it. After a failure without an answer the connection is closed: the
   * library would take a late answer for that of another request.
   * @throws the library's error; one with a `response` was answered
   */
  call<T>(request: (connection: Connection, callback: KafkaCallback<T>) => void): Promise<T> {
    this.#inFlight++;
    return new Promise<T>((resolve, reject) => {
      request(this.#connection, (error, answer) => {
        if (error === null || error === undefined) return resolve(answer as T);
        if (!isAnswer(error)) this.close();
        reject(this.#failure !== undefined && !isAnswer(error) ? this.#failure : error);
      });
    }).finally(() => {
      this.#inFlight--;
      if (this.#isRetired && this.#inFlight === 0) this.close();
    });
  }

  close(): void {
    this.#isRetired = true;
    this.#connection.socket?.destroy();
    // Stops its timers.
    this.#connection.close(() => {});
  }

  /** The library would wait for the rest of what is no answer. */
  #onFirstData(data: Buffer): void {
    this.#hasData = true;
    if (data.length < 4 || data.readUInt32BE(0) <= ANSWER_BYTES_MAX) return;
    this.#failure ??= new NotKafkaError('what it sent is not of the Kafka protocol');
    this.close();
  }

  #onClose(): void {
    if (!this.#hasData && !this.#isRetired) this.#failure ??= new NotKafkaError('it closed the connection unanswered');
    this.close();
  }

  /** Its session ends: what is in flight is answered, and nothing else is sent. */
  #retire(): void {
    this.#isRetired = true;
    if (this.#inFlight === 0) this.close();
  }
}

/** Whether the broker answered, with an error. */
export const isAnswer = (error: unknown): error is { response: unknown } =>
  typeof error === 'object' && error !== null && (error as { response?: unknown }).response !== undefined;
