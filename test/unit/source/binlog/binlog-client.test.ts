import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CdcError } from '../../../../src/runtime/error.ts';
import { BinlogClient, type DumpOptions } from '../../../../src/source/binlog/binlog-client.ts';
import type { EventContinuation } from '../../../../src/source/binlog/binlog-handler.ts';

type PacketHandler = (packet: object) => PacketHandler;

/** Behaves as mysql2 does: a paused connection queues its packets and hands them over when it is resumed. */
class FakeConnection {
  paused = false;
  pauses = 0;
  readonly stream = { bytesRead: 0, destroy: () => {} };
  readonly #queue: object[] = [];
  handlePacket: (packet: object) => void = () => {};

  query(_sql: string, done?: (error: null, rows: object[]) => void): void {
    done?.(null, [{ identity: 'server-a' }]);
  }
  pause(): void {
    this.paused = true;
    this.pauses++;
  }
  resume(): void {
    this.paused = false;
    for (let packet = this.#queue.shift(); packet !== undefined; packet = this.#queue.shift()) {
      this.handlePacket(packet);
      if (this.paused) return;
    }
  }
  receive(packet: object): void {
    if (this.paused) this.#queue.push(packet);
    else this.handlePacket(packet);
  }
}

class FakeZongji extends EventEmitter {
  static latest: FakeZongji;
  readonly connection = new FakeConnection();
  readonly ctrlConnection = new FakeConnection();
  readonly useChecksum = true;
  readonly BinlogClass = class {
    binlogData: PacketHandler = () => this.binlogData;
  };
  #next: PacketHandler | undefined;

  constructor() {
    super();
    FakeZongji.latest = this;
    this.connection.handlePacket = (packet) => {
      this.#next ??= (this.BinlogClass.prototype as { binlogData: PacketHandler }).binlogData;
      this.#next = this.#next(packet);
    };
  }
  start(): void {
    this.emit('ready');
  }
  stop(): void {
    this.emit('stopped');
  }
}

vi.mock('@vlasky/zongji', () => ({
  default: class {
    constructor() {
      // biome-ignore lint/correctness/noConstructorReturn: the test keeps the instance
      return new FakeZongji();
    }
  },
}));

/** A client that follows; `seen` is what it gave to `onEvent`, and what the steps of the events said. */
async function follow(onEvent: (name: string, seen: string[]) => EventContinuation | undefined, over = {}) {
  const seen: string[] = [];
  const end = new AbortController();
  const options: DumpOptions = {
    connection: { host: '127.0.0.1', port: 1, user: 'nobody' },
    serverId: 'auto',
    from: { coordinates: { file: 'binlog.000001', position: 4 } },
    heartbeatMs: 5_000,
    onStart: () => {},
    onEvent: (bytes, from, to) => {
      const name = bytes.toString('latin1', from, to);
      seen.push(name);
      return onEvent(name, seen);
    },
    signal: end.signal,
    ...over,
  };
  const before = FakeZongji.latest;
  const client = new BinlogClient(options);
  const outcome: { ended?: true; error?: CdcError } = {};
  const following = client.follow().then(
    () => {
      outcome.ended = true;
    },
    (error) => {
      outcome.error = error;
    },
  );
  // The password of now is asked for first.
  while (FakeZongji.latest === before) await Promise.resolve();
  const { connection } = FakeZongji.latest;
  const receive = (name: string, eof = false): void => {
    const buffer = Buffer.from(`\0${name}`, 'latin1');
    connection.receive({ buffer, offset: 0, end: buffer.length, isEOF: () => eof });
  };
  return { client, seen, end, outcome, following, connection, receive };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A clock that only the steps move: a slice of the event loop is 15 ms. */
let clock = 0;
beforeEach(() => {
  clock = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Steps that take 10 ms each: two of them fill a slice. */
function* steps(name: string, count: number, seen: string[]): EventContinuation {
  for (let i = 1; i <= count; i++) {
    seen.push(`${name}.${i}`);
    clock += 10;
    yield undefined;
  }
}

test('a signal that aborted before the start resolves without a connection', async () => {
  const client = new BinlogClient({
    connection: { host: '127.0.0.1', port: 1, user: 'nobody' },
    serverId: 'auto',
    from: { coordinates: { file: 'binlog.000001', position: 4 } },
    heartbeatMs: 5_000,
    onStart: () => expect.unreachable('it connected'),
    onEvent: () => expect.unreachable('it read'),
    signal: AbortSignal.abort('SIGTERM'),
  });
  await expect(client.follow()).resolves.toBeUndefined();
});

describe('reading', () => {
  test('each event goes to the handler, and a pause keeps later ones until the resume', async () => {
    const { client, seen, receive, connection } = await follow(() => undefined);
    receive('a');
    client.pause();
    client.pause();
    expect(connection.pauses).toBe(1);
    receive('b');
    receive('c');
    expect(seen).toEqual(['a']);
    client.resume();
    client.resume();
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  test('an event whose steps fit into a slice does not pause the connection', async () => {
    const { seen, receive, connection } = await follow((name, seen) =>
      name === 'x' ? steps('x', 1, seen) : undefined,
    );
    receive('x');
    receive('b');
    expect(seen).toEqual(['x', 'x.1', 'b']);
    expect(connection.pauses).toBe(0);
  });

  test('a handler that throws ends the stream with its error, and later packets are ignored', async () => {
    const { seen, receive, outcome, following } = await follow((name) => {
      if (name === 'b') throw new CdcError('broken', { exitCode: 4 });
      return undefined;
    });
    for (const name of ['a', 'b', 'c', 'd']) receive(name);
    await following;
    expect(outcome.error).toMatchObject({ message: 'broken', exitCode: 4 });
    receive('e');
    expect(seen).toEqual(['a', 'b']);
  });

  test('the end of the dump is an error that is retried', async () => {
    const { receive, outcome, following } = await follow(() => undefined);
    receive('', true);
    await following;
    expect(outcome.error).toMatchObject({ message: 'the server ended the binlog dump', kind: 'retry' });
  });

  test('an abort resolves, and later packets are ignored', async () => {
    const { seen, end, receive, outcome, following } = await follow(() => undefined);
    receive('a');
    end.abort();
    await following;
    receive('b');
    expect(outcome).toEqual({ ended: true });
    expect(seen).toEqual(['a']);
  });
});

describe('an event of many steps', () => {
  const long = (name: string, seen: string[]): EventContinuation | undefined =>
    name === 'x' ? steps('x', 5, seen) : undefined;

  test('runs in slices, and the next packet waits for its end', async () => {
    const { seen, receive } = await follow(long);
    receive('x');
    receive('b');
    expect(seen).toEqual(['x', 'x.1', 'x.2']);
    await turn();
    expect(seen).toEqual(['x', 'x.1', 'x.2', 'x.3', 'x.4']);
    await turn();
    expect(seen).toEqual(['x', 'x.1', 'x.2', 'x.3', 'x.4', 'x.5', 'b']);
    receive('c');
    expect(seen.at(-1)).toBe('c');
  });

  test('stops for a pause between two slices and continues at the resume', async () => {
    const { client, seen, receive } = await follow(long);
    receive('x');
    receive('b');
    client.pause();
    await turn();
    await turn();
    expect(seen).toEqual(['x', 'x.1', 'x.2']);
    client.resume();
    expect(seen).toEqual(['x', 'x.1', 'x.2', 'x.3', 'x.4']);
    await turn();
    await turn();
    expect(seen).toEqual(['x', 'x.1', 'x.2', 'x.3', 'x.4', 'x.5', 'b']);
  });

  test('continues at once when a pause and a resume both come before its next slice', async () => {
    const { client, seen, receive } = await follow(long);
    receive('x');
    client.pause();
    client.resume();
    expect(seen).toEqual(['x', 'x.1', 'x.2', 'x.3', 'x.4']);
    await turn();
    expect(seen).toEqual(['x', 'x.1', 'x.2', 'x.3', 'x.4', 'x.5']);
  });

  test('does not begin while the handler has paused', async () => {
    const { client, seen, receive } = await follow((name, seen) => {
      client.pause();
      return long(name, seen);
    });
    receive('x');
    await turn();
    expect(seen).toEqual(['x']);
    client.resume();
    expect(seen).toEqual(['x', 'x.1', 'x.2']);
  });

  test('stops after the step that pauses', async () => {
    function* pausing(): EventContinuation {
      client.pause();
      seen.push('paused');
      yield undefined;
      seen.push('resumed');
    }
    const { client, seen, receive } = await follow((name) => (name === 'x' ? pausing() : undefined));
    receive('x');
    receive('b');
    await turn();
    expect(seen).toEqual(['x', 'paused']);
    client.resume();
    expect(seen).toEqual(['x', 'paused', 'resumed', 'b']);
  });

  test('is not disturbed by a step that pauses and resumes', async () => {
    function* pausing(): EventContinuation {
      client.pause();
      client.resume();
      seen.push('first');
      yield undefined;
      seen.push('second');
    }
    const { client, seen, receive, connection } = await follow((name) => (name === 'x' ? pausing() : undefined));
    receive('x');
    receive('b');
    expect(seen).toEqual(['x', 'first', 'second', 'b']);
    expect(connection.paused).toBe(false);
  });

  test('leaves the connection paused when its last step pauses', async () => {
    function* pausing(): EventContinuation {
      yield undefined;
      client.pause();
    }
    const { client, seen, receive, connection } = await follow((name) => (name === 'x' ? pausing() : undefined));
    receive('x');
    receive('b');
    await turn();
    expect(seen).toEqual(['x']);
    expect(connection.paused).toBe(true);
    client.resume();
    expect(seen).toEqual(['x', 'b']);
  });

  test('ends the stream with the error that a step throws', async () => {
    function* failing(): EventContinuation {
      yield undefined;
      throw new CdcError('broken', { exitCode: 4 });
    }
    const { seen, receive, outcome, following } = await follow((name) => (name === 'x' ? failing() : undefined));
    receive('x');
    receive('b');
    await following;
    expect(outcome.error).toMatchObject({ message: 'broken', exitCode: 4 });
    expect(seen).toEqual(['x']);
  });

  test('takes no further step after an abort', async () => {
    const { seen, end, receive, outcome, following } = await follow(long);
    receive('x');
    end.abort();
    await following;
    await turn();
    expect(outcome).toEqual({ ended: true });
    expect(seen).toEqual(['x', 'x.1', 'x.2']);
  });
});

describe('an event with a step that is a promise', () => {
  function asking(): {
    settle: (error?: Error) => Promise<void>;
    event: (name: string, seen: string[]) => EventContinuation | undefined;
  } {
    const { promise, resolve, reject } = withResolvers();
    function* waiting(seen: string[]): EventContinuation {
      seen.push('asked');
      try {
        yield promise;
      } catch (error) {
        seen.push('rejected');
        throw error;
      }
      seen.push('answered');
    }
    return {
      settle: async (error) => {
        if (error) reject(error);
        else resolve();
        await turn();
      },
      event: (name, seen) => (name === 'x' ? waiting(seen) : undefined),
    };
  }

  test('waits for it, and so do the packets behind it', async () => {
    const { event, settle } = asking();
    const { seen, receive } = await follow(event);
    receive('x');
    receive('b');
    await turn();
    expect(seen).toEqual(['x', 'asked']);
    await settle();
    expect(seen).toEqual(['x', 'asked', 'answered', 'b']);
  });

  test('stays where it is while the promise is pending, whatever is paused and resumed', async () => {
    const { event, settle } = asking();
    const { client, seen, receive } = await follow(event);
    receive('x');
    client.pause();
    client.resume();
    await turn();
    expect(seen).toEqual(['x', 'asked']);
    client.pause();
    await settle();
    expect(seen).toEqual(['x', 'asked']);
    client.resume();
    expect(seen).toEqual(['x', 'asked', 'answered']);
  });

  test('gets the rejection thrown where it waits, and the stream ends with it', async () => {
    const { event, settle } = asking();
    const { seen, receive, outcome, following } = await follow(event);
    receive('x');
    await settle(new CdcError('no answer', { kind: 'retry' }));
    await following;
    expect(seen).toEqual(['x', 'asked', 'rejected']);
    expect(outcome.error).toMatchObject({ message: 'no answer', kind: 'retry' });
  });

  test.each([undefined, new Error('too late')])('is left alone when it settles after the abort (%s)', async (error) => {
    const { event, settle } = asking();
    const { seen, end, receive, outcome, following } = await follow(event);
    receive('x');
    end.abort();
    await following;
    await settle(error);
    expect(outcome).toEqual({ ended: true });
    expect(seen).toEqual(['x', 'asked']);
  });
});

describe('the watchdog', () => {
  const HEARTBEAT_MS = 5_000;
  const beats = async (count: number): Promise<void> => {
    await vi.advanceTimersByTimeAsync(count * HEARTBEAT_MS);
  };
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });

  test('ends a connection that is silent for three heartbeats after the first events', async () => {
    const { receive, outcome } = await follow(() => undefined);
    for (const name of ['rotate', 'format', 'gtids', 'a']) receive(name);
    await beats(3);
    expect(outcome).toEqual({});
    await beats(1);
    expect(outcome.error).toMatchObject({
      kind: 'retry',
      message: 'the binlog connection is silent',
      why: 'neither event nor heartbeat for 15000 ms',
    });
  });

  test('waits twelve heartbeats for the first events', async () => {
    const { receive, outcome } = await follow(() => undefined);
    for (const name of ['rotate', 'format', 'gtids']) receive(name);
    await beats(12);
    expect(outcome).toEqual({});
    await beats(1);
    expect(outcome.error).toMatchObject({ message: 'the binlog connection is silent' });
  });

  test('counts bytes, not packets', async () => {
    const { receive, outcome, connection } = await follow(() => undefined);
    for (const name of ['rotate', 'format', 'gtids', 'a']) receive(name);
    for (let i = 0; i < 10; i++) {
      connection.stream.bytesRead += 1;
      await beats(1);
    }
    expect(outcome).toEqual({});
  });

  test('does not count while the client is paused or an event is pending', async () => {
    const never = new Promise<void>(() => {});
    function* waiting(): EventContinuation {
      yield never;
    }
    const { client, receive, outcome } = await follow((name) => (name === 'x' ? waiting() : undefined));
    for (const name of ['rotate', 'format', 'gtids', 'a']) receive(name);
    client.pause();
    await beats(20);
    client.resume();
    await beats(2);
    receive('x');
    await beats(20);
    expect(outcome).toEqual({});
  });
});

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((done, fail) => {
    resolve = done;
    reject = fail;
  });
  return { promise, resolve, reject };
}
