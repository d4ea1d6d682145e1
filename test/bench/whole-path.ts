import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { pino } from 'pino';
import { readServerFacts } from '../../src/binlog/server.ts';
import { parseConfig } from '../../src/config/load.ts';
import { startLocalServer } from '../../src/local-mysql/server.ts';
import { runPipeline } from '../../src/pipeline.ts';
import { fill } from './capture.ts';
import { SHAPES } from './shapes.ts';

/** `cdc firehose` in a process of its own, and its address. */
async function startFirehose(lake: string): Promise<{ child: ChildProcess; endpoint: string }> {
  const words = ['firehose', '--listen', '127.0.0.1:0', '--lake', lake, '--buffer-seconds', '5'];
  const child = spawn(process.execPath, [resolve('dist/main.js'), ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const endpoint = await new Promise<string>((done) => {
    child.stdout?.on('data', (text) => {
      const match = /http:\/\/[\d.:]+/.exec(String(text));
      if (match) done(match[0]);
    });
  });
  return { child, endpoint };
}

async function main(): Promise<void> {
  const server = await startLocalServer({ flavor: 'mysql' });
  const connection = { host: '127.0.0.1', port: server.port, user: 'root' };
  const directory = mkdtempSync(join(tmpdir(), 'cdc-bench-'));
  console.log('| shape | rows | seconds | rows/s | records | requests | bytes billed / event bytes | RSS MB |');
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const shape of SHAPES.filter(({ name }) => name.startsWith('orders') || name.startsWith('one-row'))) {
    const { child, endpoint } = await startFirehose(join(directory, 'lake'));
    const start = await readServerFacts(connection);
    const rows = shape.oneRowTransactions ? shape.rows : shape.rows * 4;
    const client = await createConnection({ ...connection, multipleStatements: true });
    await fill(client, { ...shape, rows });
    client.destroy();
    const { end } = await readServerFacts(connection);
    const state = join(directory, `${shape.oneRowTransactions}.json`);
    const config = parseConfig(
      `name: bench
source: { url: "mysql://root@127.0.0.1:${server.port}", start: "${start.end.file}:${start.end.position}" }
tables: ["bench.*"]
firehose: { stream: bench, endpoint: "${endpoint}" }
checkpoint: { file: "${state}" }`,
      { file: 'bench', directory, env: {} },
    );
    const ending = new AbortController();
    let last: Record<string, number> = {};
    const log = pino({ level: 'info' }, { write: (line: string) => void (last = JSON.parse(line)) });
    const begin = process.hrtime.bigint();
    const running = runPipeline(config, log, ending.signal);
    let seconds = 0;
    for (;;) {
      await sleep(20);
      const saved = await Promise.resolve()
        .then(() => JSON.parse(readFileSync(state, 'utf8')))
        .catch(() => ({}));
      seconds = Number(process.hrtime.bigint() - begin) / 1e9;
      if (saved.file === end.file && saved.position >= end.position) break;
      if (seconds > 120) throw new Error(`not delivered: ${JSON.stringify(saved)}, ${JSON.stringify(end)}`);
    }
    ending.abort();
    await running;
    const { events = 0, records = 0, requests = 0, bytes = 0 } = last;
    const billed = records * 2500 + bytes; // each record is rounded up to the next 5 KB: half of that on average
    const rss = Math.round(process.memoryUsage().rss / 1e6);
    console.log(
      `| ${shape.name} | ${events} | ${seconds.toFixed(2)} | ${Math.round(events / seconds).toLocaleString('en')} | ${records} | ${requests} | ${(billed / bytes).toFixed(2)} | ${rss} |`,
    );
    child.kill('SIGTERM');
    await new Promise((done) => child.once('close', done));
  }
  await server.stop();
  rmSync(directory, { recursive: true });
}

await main();
