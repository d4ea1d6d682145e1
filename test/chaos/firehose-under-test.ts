import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultPlan } from '../../src/local/firehose/faults.ts';
import { startLocalFirehose } from '../../src/local/firehose/server.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { faultPlan, rejectEverything } from './fault-plans.ts';
import { SCHEMA } from './tables.ts';
import type { TransportOptions, TransportUnderTest } from './transport-under-test.ts';

const STREAM = 'changes';

const SOME_RECORDS_FAIL: FaultPlan['rules'] = [
  { fault: 'partial', records: 0.3, rate: 0.1 },
  { fault: 'partial', records: 0.3, code: 'InternalFailure', stored: 0.5, rate: 0.1 },
];

/** The local Firehose with its fault plans. It reports each call itself, so nothing is read back. */
export async function startFirehoseUnderTest(options: TransportOptions): Promise<TransportUnderTest> {
  const { directory, routed, ledger, onCall } = options;
  const lake = join(directory, 'lake');
  const firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake,
    streams: [STREAM, ...routed].map((name) => ({ name, bufferSeconds: 5 })),
    ledger: ledger ? join(directory, 'ledger.ndjson') : undefined,
    onCall,
  });
  const link = await TcpProxy.listen(Number(new URL(firehose.endpoint).port));
  const routes = routed.map((table) => `"${SCHEMA}.${table}": ${table}`).join(', ');
  return {
    configuration: `firehose:
  stream: ${STREAM}
  endpoint: "http://127.0.0.1:${link.port}"
  linger: 2ms${routes && `\n  routes: { ${routes} }`}
  aggregate: { max_events: 4, max_bytes: 8KiB }
`,
    link,
    lostAnswers: link.lostAnswers,
    async injectFaults(random) {
      firehose.setFaults(faultPlan(random));
    },
    async rejectEverything(random) {
      firehose.setFaults(rejectEverything(random));
    },
    failSomeRecords(random) {
      firehose.setFaults({ seed: random.below(2 ** 31), rules: SOME_RECORDS_FAIL });
    },
    async endFaults() {
      firehose.setFaults(undefined);
    },
    async clear() {
      // The checker reads the calls, so the objects are not needed.
      for (const name of readdirSync(lake)) rmSync(join(lake, name), { recursive: true, force: true });
    },
    async close() {
      await link.close();
      await firehose.close();
    },
  };
}
