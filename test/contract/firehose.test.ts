import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FaultPlan } from '../../src/local/firehose/faults.ts';
import { startLocalFirehose } from '../../src/local/firehose/server.ts';
import { FirehoseSink } from '../../src/sinks/firehose/firehose-sink.ts';
import { type SinkFault, type SinkSubject, sinkContract } from './sink.contract.ts';

/** A busy machine answers large requests late. */
const TIMEOUT_MS = 2_000;

/** Rules of a fault plan (docs/LOCAL-FIREHOSE.md). */
const RULES: Readonly<Record<SinkFault, FaultPlan['rules'][number]>> = {
  'second record throttled': { fault: 'partial', records: [1] },
  'request throttled': { fault: 'error', type: 'ServiceUnavailableException' },
  'response lost': { fault: 'lost' },
  'connection reset': { fault: 'reset' },
  'response stalls': { fault: 'truncated', cut: 'stall' },
  'no response': { fault: 'hang' },
  'result missing': { fault: 'short' },
  poison: { fault: 'poison', text: 'poison' },
};

async function openSubject(gzip: boolean): Promise<SinkSubject> {
  const lake = mkdtempSync(join(tmpdir(), 'cdc-contract-'));
  const stored: Buffer[] = [];
  const firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake,
    streams: [{ name: 'changes', bufferSeconds: 1 }],
    onCall: ({ records }) => {
      for (const record of records) if (record.stored) stored.push(Buffer.from(record.data));
    },
  });
  const connection = { region: undefined, endpoint: firehose.endpoint, timeoutMs: TIMEOUT_MS };
  const sink = new FirehoseSink({ ...connection, stream: 'changes', gzip });
  const withoutStream = new FirehoseSink({ ...connection, stream: 'missing', gzip });
  return {
    sink,
    withoutStream,
    stored: () => stored,
    setFault: (fault) => firehose.setFaults({ seed: 1, rules: fault === undefined ? [] : [RULES[fault]] }),
    close: async () => {
      sink.close();
      withoutStream.close();
      await firehose.close();
      rmSync(lake, { recursive: true, force: true });
    },
  };
}

sinkContract('Amazon Data Firehose', () => openSubject(false));
sinkContract('Amazon Data Firehose with gzip', () => openSubject(true));
