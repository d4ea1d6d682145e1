import type { PGlite } from '@electric-sql/pglite';
import { query, SYNC, startup } from './wire.ts';

export const USER = 'postgres';
export const DATABASE = 'postgres';

/** How the session stands after a batch: idle, in a transaction, in a failed one, or in the middle of a batch. */
export type SessionStatus = 'I' | 'T' | 'E' | 'open';

/**
 * The one session that PGlite has, which clients take in turns. A client keeps its turn from the first message of a
 * batch to the end of its transaction, so that no statement of another comes between. Others wait.
 */
export interface Session {
  /** What the server answers to the start of a session. */
  greeting: Buffer;
  /** Resolves with the function that ends the turn. Turns are given in the order of the calls. */
  takeTurn(): Promise<() => void>;
  /** Runs whole messages. Only the holder of the turn may call it. @throws SessionEnded */
  run(messages: Buffer, onOutput: (bytes: Buffer) => void): Promise<SessionStatus>;
  /** Ends an unfinished batch or transaction of a client that has gone. */
  rollBack(): Promise<void>;
  /** Forgets settings, prepared statements and temporary tables. */
  discard(): Promise<void>;
}

/** PGlite has ended. Nothing works until the process starts again. */
export class SessionEnded extends Error {}

export async function openSession(db: PGlite): Promise<Session> {
  let lastTurn = Promise.resolve();

  async function run(messages: Buffer, onOutput: (bytes: Buffer) => void): Promise<SessionStatus> {
    let tail: Buffer = Buffer.alloc(0);
    const onRawData = (data: Uint8Array) => {
      // PGlite writes the next output over it.
      const bytes = Buffer.from(data);
      tail = Buffer.concat([tail, bytes.subarray(-6)]).subarray(-6);
      onOutput(bytes);
    };
    await db
      .runExclusive(() => db.execProtocolRawStream(messages, { onRawData }))
      .catch((error: Error) => {
        throw new SessionEnded(error.message, { cause: error });
      });
    // ReadyForQuery is the last message of an answer.
    return tail.length === 6 && tail.toString('latin1', 0, 5) === 'Z\0\0\0\x05'
      ? (String.fromCharCode(tail[5] as number) as SessionStatus)
      : 'open';
  }

  const ignore = () => {};
  const greeting: Buffer[] = [];
  await run(startup(USER, DATABASE), (bytes) => greeting.push(bytes));
  return {
    greeting: Buffer.concat(greeting),
    async takeTurn() {
      let end = ignore;
      const before = lastTurn;
      lastTurn = new Promise((resolve) => {
        end = resolve;
      });
      await before;
      return end;
    },
    run,
    async rollBack() {
      if ((await run(SYNC, ignore)) !== 'I') await run(query('ROLLBACK'), ignore);
    },
    async discard() {
      await run(query('DISCARD ALL'), ignore);
    },
  };
}
