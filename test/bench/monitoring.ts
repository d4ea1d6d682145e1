import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { freePort } from '../../src/runtime/free-port.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { fill } from './capture.ts';
import { end, resourceUsage, startDaemon, startFirehose } from './processes.ts';
import { ORDERS } from './shapes.ts';
import { pagesWritten, removeObjects } from './whole-path.ts';

const ROWS = 2_400_000;
const ROUNDS = 7;
const SCRAPE_MS = 1_000;

interface Round {
  rowsPerSecond: number;
  microsecondsPerRow: number;
}

/**
 * What it costs to look: the whole path, in turns with nobody looking, and with a scrape of /metrics each second while
 * a dashboard is open, which asks for the status and the history each second.
 */
export async function monitoring(
  server: LocalServer,
  directory: string,
  { rows = ROWS }: { rows?: number },
): Promise<void> {
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  const start = await readServerInfo(connection);
  const client = await createConnection({ ...connection, multipleStatements: true });
  await fill(client, { ...ORDERS, rows });
  await pagesWritten(client);
  client.destroy();
  const { end: binlogEnd } = await readServerInfo(connection);
  const measure = async (name: string, looks: boolean): Promise<Round> => {
    const own = join(directory, name);
    mkdirSync(own);
    const lake = join(own, 'lake');
    const firehose = await startFirehose(lake, '--buffer-seconds', '1');
    const cleaner = setInterval(() => removeObjects(lake), 300);
    const port = looks ? await freePort() : undefined;
    const daemon = await startDaemon({
      ...{ directory: own, mysqlPort: server.port, endpoint: firehose.endpoint },
      start: `${start.end.file}:${start.end.position}`,
      ...(port !== undefined && { admin: `listen: "127.0.0.1:${port}"` }),
    });
    const before = resourceUsage(daemon.child).cpuSeconds;
    const look = port === undefined ? undefined : setInterval(() => lookAt(`http://127.0.0.1:${port}`), SCRAPE_MS);
    const seconds = ((await daemon.reached(binlogEnd)) - daemon.followsSince) / 1000;
    const { cpuSeconds } = resourceUsage(daemon.child);
    clearInterval(look);
    await daemon.stop();
    clearInterval(cleaner);
    await end(firehose.child);
    rmSync(own, { recursive: true });
    return { rowsPerSecond: rows / seconds, microsecondsPerRow: ((cpuSeconds - before) / rows) * 1e6 };
  };
  console.log('| round | rows/s | rows/s, looked at | CPU of the daemon, µs/row | the same, looked at |');
  console.log('| ---: | ---: | ---: | ---: | ---: |');
  const alone: Round[] = [];
  const watched: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // The order changes, so that a drift of the machine favours neither.
    const order = round % 2 === 0 ? [false, true] : [true, false];
    for (const looks of order) (looks ? watched : alone).push(await measure(`${round}-${looks}`, looks));
    const [a, w] = [alone.at(-1) as Round, watched.at(-1) as Round];
    const speeds = [a.rowsPerSecond, w.rowsPerSecond].map((n) => Math.round(n).toLocaleString('en'));
    const costs = [a.microsecondsPerRow, w.microsecondsPerRow].map((n) => n.toFixed(2));
    console.log(`| ${[round + 1, ...speeds, ...costs].join(' | ')} |`);
  }
  const ratio = (of: (round: Round) => number): string => (median(watched.map(of)) / median(alone.map(of))).toFixed(3);
  console.log(
    `\nMedians, looked at / alone: rows/s ${ratio((r) => r.rowsPerSecond)}, CPU ${ratio((r) => r.microsecondsPerRow)}`,
  );
}

function lookAt(url: string): void {
  for (const path of ['/metrics', '/api/status', `/api/history?since=${Date.now() - 2_000}`]) {
    fetch(url + path).then(
      (answer) => answer.arrayBuffer(),
      // The daemon has just begun or ended.
      () => {},
    );
  }
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] as number;
