import { EventEmitter } from 'node:events';
import type { Connection } from 'mysql2/promise';

/** What mysql2 passes to a command: a packet in a buffer, from its header of four bytes on. */
interface Packet {
  buffer: Buffer;
  start: number;
  end: number;
  isError(): boolean;
  asError(): Error;
}

interface Core {
  addCommand(command: unknown): void;
  write(bytes: Buffer): void;
  _resetSequenceId(): void;
  _bumpSequenceId(count: number): void;
}

const HEADER_BYTES = 4;
const COM_STMT_PREPARE = 0x16;
const COM_STMT_EXECUTE = 0x17;

/** Prepares and executes a SELECT, and returns its row packets as the server sent them. */
export async function selectRowPackets(connection: Connection, sql: string): Promise<Buffer[]> {
  const { connection: core } = connection as unknown as { connection: Core };
  const text = Buffer.from(sql);
  const [prepared] = await exchange(core, Buffer.concat([Buffer.of(COM_STMT_PREPARE), text]), 1);
  const execute = Buffer.alloc(10);
  execute[0] = COM_STMT_EXECUTE;
  (prepared as Buffer).copy(execute, 1, 1, 5);
  execute.writeUInt32LE(1, 6);
  const answer = await exchange(core, execute, 2);
  const firstRow = answer.findIndex(isEof) + 1;
  return answer.slice(firstRow, -1);
}

/** A row packet begins with 0, and the definition of a column with its length. */
const isEof = (packet: Buffer): boolean => packet[0] === 0xfe && packet.length < 9;

/** Sends a command and receives its answer, which ends with the given number of EOF packets. */
function exchange(core: Core, request: Buffer, eofs: number): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const packets: Buffer[] = [];
    let left = eofs;
    let sent = false;
    const command = Object.assign(new EventEmitter(), {
      /** Returns whether the command is done. */
      execute(packet: Packet | undefined): boolean {
        if (!sent) {
          sent = true;
          core._resetSequenceId();
          const header = Buffer.alloc(HEADER_BYTES);
          header.writeUIntLE(request.length, 0, 3);
          core.write(Buffer.concat([header, request]));
          core._bumpSequenceId(1);
          return false;
        }
        if (packet === undefined) return false;
        if (packet.isError()) {
          reject(packet.asError());
          return true;
        }
        const bytes = Buffer.from(packet.buffer.subarray(packet.start + HEADER_BYTES, packet.end));
        packets.push(bytes);
        if (!isEof(bytes) || --left > 0) return false;
        resolve(packets);
        return true;
      },
    });
    core.addCommand(command);
  });
}
