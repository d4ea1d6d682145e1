import { connect, createServer, type Server, type Socket } from 'node:net';

/** A Produce request (version 9) on its way to a broker. */
export interface ProduceRequest {
  /** Its bytes, length included. */
  frame: Buffer;
  correlationId: number;
  partitions: { topic: string; index: number }[];
}

/**
 * What happens to Produce requests:
 * - `answer`: they do not reach the broker; this code is the answer for each partition
 * - `drop`: they do not reach the broker, and nothing is answered
 * - `reset`: they do not reach the broker, and the connection is cut
 * - `lose`: the broker's answer is lost with the connection
 * - `stall`: half of the broker's answer comes
 * - `empty`: the broker's answer is replaced by one for no partition
 */
export type ProduceFault = { answer: number } | 'drop' | 'reset' | 'lose' | 'stall' | 'empty';

const PRODUCE = 0;

/** A proxy in front of a broker that knows the frames of the Kafka protocol. */
export class KafkaProxy {
  /** Decides about each Produce request; undefined lets it through. */
  fault: (request: ProduceRequest) => ProduceFault | undefined = () => undefined;
  /** Produce requests that came. */
  requests = 0;
  /** Connections are closed at once, as where no broker is. Those that are open stay. */
  isAway = false;
  /** Connections that came. */
  connections = 0;
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((near) => this.#accept(near));
  }

  static async listen(target: number): Promise<KafkaProxy> {
    const proxy = new KafkaProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Sends a request again on a connection of its own. Resolves with the code of the only partition in the answer. */
  async replay({ frame, partitions }: ProduceRequest): Promise<number> {
    const far = connect(this.#target, '127.0.0.1');
    try {
      const answer = await new Promise<Buffer>((resolve, reject) => {
        far.on('error', reject);
        onFrames(far, resolve);
        far.write(frame);
      });
      const topic = Buffer.byteLength(partitions[0]?.topic ?? '');
      // Length, correlation id, tags, topics, name, partitions, index.
      return answer.readInt16BE(4 + 4 + 1 + 1 + 1 + topic + 1 + 4);
    } finally {
      far.destroy();
    }
  }

  /** Cuts the connections that are open. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    this.connections++;
    if (this.isAway) return void near.destroy();
    const far = connect(this.#target, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    const faults = new Map<number, ProduceFault>();
    let isStalled = false;
    onFrames(near, (frame) => {
      if (frame.readInt16BE(4) !== PRODUCE) return void far.write(frame);
      this.requests++;
      const request = readRequest(frame);
      const fault = this.fault(request);
      if (fault === 'drop') return;
      if (fault === 'reset') return void near.resetAndDestroy();
      if (typeof fault === 'object') return void near.write(answerOf(request, fault.answer));
      if (fault !== undefined) faults.set(request.correlationId, fault);
      far.write(frame);
    });
    onFrames(far, (frame) => {
      if (isStalled) return;
      const correlationId = frame.readInt32BE(4);
      const fault = faults.get(correlationId);
      if (fault === 'lose') return void near.resetAndDestroy();
      if (fault === 'empty') return void near.write(answerOf({ correlationId, partitions: [] }, 0));
      isStalled = fault === 'stall';
      near.write(isStalled ? frame.subarray(0, frame.length >> 1) : frame);
    });
  }
}

function onFrames(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let waiting: Buffer[] = [];
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    waiting.push(chunk);
    bytes += chunk.length;
    for (;;) {
      if (bytes < 4) return;
      if ((waiting[0] as Buffer).length < 4) waiting = [Buffer.concat(waiting)];
      const length = 4 + (waiting[0] as Buffer).readInt32BE(0);
      if (bytes < length) return;
      const all = Buffer.concat(waiting);
      onFrame(all.subarray(0, length));
      waiting = [all.subarray(length)];
      bytes -= length;
    }
  });
}

function readRequest(frame: Buffer): ProduceRequest {
  let at = 8;
  const int32 = () => frame.readInt32BE((at += 4) - 4);
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = frame[at++] as number;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const correlationId = int32();
  at += 2 + frame.readInt16BE(at) + 1; // client id, tags
  varint(); // transactional id
  at += 2 + 4; // acks, timeout
  const partitions: ProduceRequest['partitions'] = [];
  for (let topics = varint() - 1; topics > 0; topics--) {
    const length = varint() - 1;
    const topic = frame.toString('utf8', at, (at += length));
    for (let count = varint() - 1; count > 0; count--) {
      partitions.push({ topic, index: int32() });
      const records = varint() - 1;
      at += records + 1; // records, tags
    }
    at++; // tags
  }
  return { frame, correlationId, partitions };
}

function answerOf({ correlationId, partitions }: Omit<ProduceRequest, 'frame'>, code: number): Buffer {
  const int32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const int16 = (value: number) => int32(value).subarray(2);
  const minusOne = Buffer.alloc(8, 255);
  // Fewer than 127 of each, so that a length is one byte.
  const topics = partitions.map(({ topic, index }) => {
    const name = Buffer.from(topic);
    const partition = [int32(index), int16(code), minusOne, minusOne, minusOne, Buffer.from([1, 0, 0])];
    return Buffer.concat([Buffer.from([name.length + 1]), name, Buffer.from([2]), ...partition, Buffer.from([0])]);
  });
  const body = Buffer.concat([
    int32(correlationId),
    Buffer.from([0, topics.length + 1]),
    ...topics,
    int32(0),
    Buffer.from([0]),
  ]);
  return Buffer.concat([int32(body.length), body]);
}
