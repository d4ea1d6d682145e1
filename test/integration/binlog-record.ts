import { charsetOf, decodeText } from '../../src/codec/charset/charset.ts';
import { sourceConnection } from '../../src/config/source-connection.ts';
import type { Coordinates } from '../../src/model/coordinates.ts';
import { BinlogClient } from '../../src/source/binlog/binlog-client.ts';
import { BinlogDecoder, type DecoderOptions } from '../../src/source/binlog/binlog-decoder.ts';
import type { BinlogHandler } from '../../src/source/binlog/binlog-handler.ts';
import { IGNORE_EVENTS } from '../../src/source/binlog/ignore-events.ts';
import { readServerInfo, type ServerInfo } from '../../src/source/server/server-info.ts';

export const connectionOf = (url: string) => sourceConnection({ url, server_id: 'auto', start: 'now' });

/** Events of a binlog, to be decoded as often as wanted. */
export interface BinlogRecord {
  server: ServerInfo;
  checksum: boolean;
  events: Buffer[];
}

/** The events between two positions. The server must be idle meanwhile. */
export async function recordBinlog(url: string, from: Coordinates): Promise<BinlogRecord> {
  const server = await readServerInfo(connectionOf(url));
  const record: BinlogRecord = { server, checksum: false, events: [] };
  const done = new AbortController();
  const position = new BinlogDecoder<never>(noTables(), () => '', true, { statementsOnly: true });
  await new BinlogClient({
    connection: connectionOf(url),
    serverId: 'auto',
    from: { coordinates: from },
    heartbeatMs: 1000,
    onStart(checksum) {
      record.checksum = checksum;
    },
    onEvent(bytes, start, end) {
      record.events.push(Buffer.from(bytes.subarray(start, end)));
      for (const _ of position.read(bytes, start, end) ?? []);
      const at = position.coordinates;
      if (at.file === server.end.file && at.position >= server.end.position) done.abort();
      return undefined;
    },
    signal: done.signal,
  }).follow();
  return record;
}

const noTables = (): BinlogHandler<never> => ({
  ...IGNORE_EVENTS,
  isCaptured: () => false,
  isSchemaCaptured: () => false,
  tableMap() {
    throw new Error('no table is captured');
  },
});

/** Decodes the events. An error ends its event alone, and goes to `onError`. */
export async function decodeRecord<T>(
  { server, checksum, events }: BinlogRecord,
  handler: BinlogHandler<T>,
  onError: (error: unknown) => void,
  options: DecoderOptions<T> = {},
): Promise<void> {
  const decode = (bytes: Buffer, collation: number) => decodeText(bytes, charsetOf(collation, server.charsets));
  const decoder = new BinlogDecoder(handler, decode, checksum, { foldNames: !server.caseSensitive, ...options });
  for (const event of events) {
    try {
      for (const step of decoder.read(event, 0, event.length) ?? []) await step;
    } catch (error) {
      onError(error);
    }
  }
}
