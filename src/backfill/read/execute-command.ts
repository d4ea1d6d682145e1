import type { Socket } from 'node:net';
import type { RowCollector } from './row-collector.ts';

/** The parts of mysql2 that its typings leave out (its lib/base/connection.js, lib/packet_parser.js). */
export interface DriverConnection {
  stream: Socket;
  packetParser: { execute(chunk: Buffer): void };
  sequenceId: number;
  config: { clientFlags: number };
  serverCapabilityFlags: number;
  addCommand(command: DriverCommand): unknown;
  writePacket(packet: unknown): void;
  _resetSequenceId(): void;
}

interface DriverCommand {
  execute(packet: DriverPacket | undefined, connection: DriverConnection): boolean;
  onResult(error: Error): void;
}

interface DriverPacket {
  isError(): boolean;
  asError(encoding: string): Error;
}

/** A parameter of a prepared statement: a type of the protocol, and the value's bytes with their length in front. */
export interface Parameter {
  type: number;
  unsigned: boolean;
  bytes: Buffer;
}

const COM_STMT_EXECUTE = 0x17;
const CLIENT_QUERY_ATTRIBUTES = 0x08000000;
/** CURSOR_TYPE flag PARAMETER_COUNT_AVAILABLE. */
const PARAMETER_COUNT_AVAILABLE = 0x08;
const UNSIGNED = 0x80;
const MAX_PART = 0xffffff;

/** Takes the rows as they arrive; `collector` has them. */
export type OnRows = () => void;

/**
 * COM_STMT_EXECUTE whose result set goes to a `RowCollector`. While it arrives, the command replaces mysql2's packet
 * parser, so that mysql2 makes no object of a packet. The packet that ends the result set is mysql2's again.
 */
export class ExecuteCommand implements DriverCommand {
  readonly #statementId: number;
  readonly #parameters: readonly Parameter[];
  readonly #collector: RowCollector;
  readonly #onRows: OnRows;
  readonly #settle: (error?: Error) => void;
  #started = false;

  constructor(
    statementId: number,
    parameters: readonly Parameter[],
    collector: RowCollector,
    onRows: OnRows,
    settle: (error?: Error) => void,
  ) {
    this.#statementId = statementId;
    this.#parameters = parameters;
    this.#collector = collector;
    this.#onRows = onRows;
    this.#settle = settle;
  }

  /** Called by mysql2 to start the command, then with the last packet. Returns whether the command has ended. */
  execute(packet: DriverPacket | undefined, connection: DriverConnection): boolean {
    if (!this.#started) {
      this.#started = true;
      connection._resetSequenceId();
      this.#takeStream(connection);
      this.#send(connection);
      return false;
    }
    this.#settle(packet?.isError() ? packet.asError('utf8') : undefined);
    return true;
  }

  /** Called by mysql2 when the connection is lost. */
  onResult(error: Error): void {
    this.#settle(error);
  }

  #takeStream(connection: DriverConnection): void {
    const parser = connection.packetParser;
    connection.packetParser = {
      execute: (chunk) => {
        const rest = this.#collector.take(chunk);
        this.#onRows();
        if (rest === undefined) return;
        connection.packetParser = parser;
        connection.sequenceId = rest[3] as number;
        parser.execute(rest);
      },
    };
  }

  #send(connection: DriverConnection): void {
    const body = executeBody(this.#statementId, this.#parameters, hasQueryAttributes(connection));
    // A statement takes less than 16 MiB unless a key value is that long, and no index has such a key.
    if (body.length >= MAX_PART) throw new Error(`a statement with ${body.length} bytes of parameters`);
    const header = Buffer.alloc(4);
    header.writeUIntLE(body.length, 0, 3);
    connection.sequenceId = 1;
    connection.stream.write(Buffer.concat([header, body]));
  }
}

const hasQueryAttributes = ({ config, serverCapabilityFlags }: DriverConnection): boolean =>
  (config.clientFlags & serverCapabilityFlags & CLIENT_QUERY_ATTRIBUTES) !== 0;

/** The body of COM_STMT_EXECUTE. With query attributes negotiated, each parameter has a name, here an empty one. */
function executeBody(statementId: number, parameters: readonly Parameter[], named: boolean): Buffer {
  const head = Buffer.alloc(10);
  head[0] = COM_STMT_EXECUTE;
  head.writeUInt32LE(statementId, 1);
  head[5] = named ? PARAMETER_COUNT_AVAILABLE : 0;
  head.writeUInt32LE(1, 6);
  const parts: Buffer[] = [head];
  if (named) parts.push(Buffer.from([parameters.length]));
  if (parameters.length > 0) {
    parts.push(Buffer.alloc((parameters.length + 7) >> 3), Buffer.from([1]));
    for (const { type, unsigned } of parameters) {
      parts.push(Buffer.from(named ? [type, unsigned ? UNSIGNED : 0, 0] : [type, unsigned ? UNSIGNED : 0]));
    }
    for (const { bytes } of parameters) parts.push(bytes);
  }
  return Buffer.concat(parts);
}
