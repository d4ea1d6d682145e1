import type { Coordinates } from '../../model/coordinates.ts';
import type { SourceConnection } from '../../model/source-connection.ts';
import { BinlogClient } from './binlog-client.ts';
import type { BinlogDecoder } from './binlog-decoder.ts';
import type { EventContinuation } from './binlog-handler.ts';

export interface BinlogScanOptions<T> {
  connection: SourceConnection;
  from: Coordinates;
  heartbeatMs: number;
  createDecoder: (checksum: boolean) => BinlogDecoder<T>;
  /** Whether the scan ends with the event that was read last. */
  isDone: (at: Coordinates) => boolean;
  signal: AbortSignal;
}

/** Reads a part of the binlog on a connection of its own. Returns the decoder that has read it. */
export async function scanBinlog<T>(options: BinlogScanOptions<T>): Promise<BinlogDecoder<T>> {
  const { connection, from, heartbeatMs, createDecoder, isDone, signal } = options;
  const done = new AbortController();
  let decoder = createDecoder(false);
  const stopAtEnd = (): void => {
    if (isDone(decoder.coordinates)) done.abort();
  };
  function* thenStopAtEnd(steps: EventContinuation): EventContinuation {
    yield* steps;
    stopAtEnd();
  }
  await new BinlogClient({
    connection,
    serverId: 'auto',
    from: { coordinates: from },
    heartbeatMs,
    onStart: (checksum) => {
      decoder = createDecoder(checksum);
    },
    onEvent: (bytes, start, end) => {
      const steps = done.signal.aborted ? undefined : decoder.read(bytes, start, end);
      if (steps !== undefined) return thenStopAtEnd(steps);
      stopAtEnd();
      return undefined;
    },
    signal: AbortSignal.any([signal, done.signal]),
  }).follow();
  return decoder;
}
