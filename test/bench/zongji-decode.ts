import ZongJi from '@vlasky/zongji';
import type { Captured } from './capture.ts';

interface Command {
  binlogData(packet: object, connection: unknown): unknown;
}

interface Internals {
  BinlogClass: new (callback: unknown) => Command;
  connection: unknown;
}

/**
 * Runs zongji's own decoder on captured packets. zongji is connected, its dump command is intercepted before the dump
 * begins, and captured packets are passed to that command.
 */
export async function zongjiDecoder(
  connection: { host: string; port: number; user: string },
  onRows: (event: { rows?: unknown[] }) => void,
): Promise<{ decode(captured: Captured): void; close(): void }> {
  const zongji = new ZongJi(connection) as ZongJi & Internals;
  let command: Command | undefined;
  zongji.on('error', (error) => {
    throw error;
  });
  zongji.on('binlog', (event) => onRows(event as { rows?: unknown[] }));
  const ready = new Promise<void>((resolve) => {
    zongji.on('ready', () => {
      const Original = zongji.BinlogClass;
      zongji.BinlogClass = class extends Original {
        constructor(callback: unknown) {
          super(callback);
          command = this;
          setImmediate(resolve);
        }
      };
    });
  });
  zongji.start({ serverId: 987_654, startAtEnd: true });
  await ready;
  return {
    decode({ packets }) {
      for (const buffer of packets) {
        const packet = { buffer, offset: 0, end: buffer.length, isEOF: () => false, isError: () => false };
        command?.binlogData(packet, zongji.connection);
      }
    },
    close: () => zongji.stop(),
  };
}

/** Rows per second of zongji's decode and JSON.stringify, the median of five rounds. */
export async function zongjiSpeed(
  connection: { host: string; port: number; user: string },
  captured: Captured,
  rows: number,
): Promise<number> {
  let output = 0;
  const zongji = await zongjiDecoder(connection, (event) => {
    for (const row of event.rows ?? []) output += JSON.stringify(row).length;
  });
  const speeds: number[] = [];
  for (let round = 0; round < 6; round++) {
    const begin = process.hrtime.bigint();
    zongji.decode(captured);
    // The first round is for warming up.
    if (round > 0) speeds.push((rows / Number(process.hrtime.bigint() - begin)) * 1e9);
  }
  zongji.close();
  if (output === 0) throw new Error('zongji wrote nothing');
  return speeds.sort((a, b) => a - b)[2] as number;
}
