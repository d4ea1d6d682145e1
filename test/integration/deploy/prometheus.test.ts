import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../../../src/runtime/free-port.ts';
import { ALERT_CASES } from '../../deploy/alert-cases.ts';
import { debianProgram, programUnavailable, type Runnable } from '../../deploy/debian-program.ts';
import { type Document, readYaml, root } from '../../deploy/deploy-files.ts';
import { AdminDaemon, addressOf } from '../admin/admin-daemon.ts';
import { cdc, until } from '../pipeline-fixture.ts';

/** The alerts by Prometheus itself: its tool, and a server that scrapes a daemon. Without it they are skipped. */

const PROMTOOL = { packageName: 'prometheus', path: 'usr/bin/promtool', check: ['--version'] };
const PROMETHEUS = { packageName: 'prometheus', path: 'usr/bin/prometheus', check: ['--version'] };
const unavailable = await programUnavailable(PROMTOOL);

const folder = mkdtempSync(join(tmpdir(), 'cdc-alerts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RULES = 'config/deploy/prometheus/cdc-alerts.yaml';
const severityOf = new Map<string, string>(
  readYaml(RULES).groups.flatMap(({ rules }: Document) =>
    rules.map(({ alert, labels }: Document) => [alert, labels.severity]),
  ),
);

async function promtool(...words: string[]): Promise<string> {
  const { command, env } = await debianProgram(PROMTOOL);
  const { status, stdout, stderr } = spawnSync(command, words, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  expect(status, stdout + stderr).toBe(0);
  return stdout;
}

describe.skipIf(unavailable !== undefined)(`promtool ${unavailable ?? ''}`, () => {
  beforeAll(() => copyFileSync(join(root, RULES), join(folder, 'cdc-alerts.yaml')));

  test('accepts the rules', async () => {
    expect(await promtool('check', 'rules', 'cdc-alerts.yaml')).toContain(`${ALERT_CASES.length} rules found`);
  });

  test.each(['docker/prometheus/prometheus.yaml', 'config/deploy/prometheus/scrape-kubernetes.yaml'])(
    'accepts %s',
    async (path) => {
      // Debian's Prometheus has no part for Kubernetes.
      const text = readFileSync(join(root, path), 'utf8').replace(/kubernetes_sd_configs: .*/, 'static_configs: []');
      writeFileSync(join(folder, 'prometheus.yaml'), text);
      expect(await promtool('check', 'config', 'prometheus.yaml')).toContain('SUCCESS');
    },
  );

  test.each(ALERT_CASES)('$alert fires when it must, and only then', async ({ alert, at, fires, quiet, labels }) => {
    const series = (values: Record<string, string>) =>
      Object.entries(values).map(([one, values]) => ({ series: one, values }));
    const expected = { exp_labels: { ...labels, severity: severityOf.get(alert) } };
    const run = (values: Record<string, string>, exp_alerts: object[]) => ({
      interval: '15s',
      input_series: series(values),
      alert_rule_test: [{ eval_time: at, alertname: alert, exp_alerts }],
    });
    // Annotations depend on the exact value; that they are there is another test.
    const rules = readYaml(RULES);
    for (const group of rules.groups) for (const rule of group.rules) delete rule.annotations;
    writeFileSync(join(folder, 'rules.yaml'), stringify(rules));
    writeFileSync(
      join(folder, `${alert}.yaml`),
      stringify({ rule_files: ['rules.yaml'], tests: [run(fires, [expected]), run(quiet, [])] }),
    );
    await promtool('test', 'rules', `${alert}.yaml`);
  });
});

describe.skipIf(unavailable !== undefined)('a Prometheus that scrapes a daemon', () => {
  let bed: AdminDaemon;
  let url: string;
  let stopServer = async (): Promise<void> => {};

  beforeAll(async () => {
    bed = new AdminDaemon(inject('mysqlUrl'), 'deploy_alerts');
    await bed.createSchema('CREATE TABLE orders (id INT PRIMARY KEY, customer VARCHAR(20))');
    const { endpoint } = await bed.startFirehose();
    bed.configure(endpoint, 'admin: { listen: "127.0.0.1:0" }\n');
    bed.daemon = await bed.run();
    ({ url, stop: stopServer } = await startPrometheus(
      await debianProgram(PROMETHEUS),
      new URL(addressOf(bed.daemon)).host,
    ));
  });
  afterAll(async () => {
    await stopServer();
    await bed.remove();
  });

  const get = async (path: string): Promise<Document> => (await fetch(`${url}/api/v1/${path}`)).json();
  const ask = async (path: string): Promise<Document> => (await get(path)).data;
  const firing = async (): Promise<string[]> =>
    (await ask('alerts')).alerts
      .filter(({ state }: Document) => state === 'firing')
      .map(({ labels }: Document) => labels.alertname);

  test('sees it, and evaluates every rule without an error', async () => {
    await until(async () => (await ask('query?query=cdc_streaming')).result[0]?.value[1] === '1');
    await until(async () =>
      (await ask('rules')).groups.every(({ lastEvaluation }: Document) => Date.parse(lastEvaluation) > 0),
    );
    const rules = (await ask('rules')).groups.flatMap((group: Document) => group.rules);
    const healthOf = new Map(rules.map(({ name, health, lastError }: Document) => [name, [health, lastError ?? '']]));
    expect(ALERT_CASES.map(({ alert }) => [alert, healthOf.get(alert)])).toEqual(
      ALERT_CASES.map(({ alert }) => [alert, ['ok', '']]),
    );
  });

  test('every query of the board has an answer without an error', async () => {
    const board = JSON.parse(readFileSync(join(root, 'config/deploy/grafana/cdc.json'), 'utf8'));
    const queries = board.panels.flatMap(({ targets = [] }: Document) => targets.map(({ expr }: Document) => expr));
    for (const query of queries) {
      const text = query.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*');
      const answer = await get(`query?query=${encodeURIComponent(text)}`);
      expect([text, answer.status]).toEqual([text, 'success']);
    }
  });

  test('an incomplete table and a dead letter raise their alerts, and the runbook ends them', async () => {
    // A stream that has accepted nothing yet, and rejects, stops the daemon.
    await bed.query("INSERT INTO deploy_alerts.orders VALUES (0, 'ada')");
    await bed.delivered();
    bed.firehose?.setFaults({ rules: [{ fault: 'poison', text: 'poison' }] } as never);
    await bed.query("INSERT INTO deploy_alerts.orders VALUES (1, 'poison')");
    await until(
      async () => (await firing()).includes('CdcDeadLetters') && (await firing()).includes('CdcIncompleteTables'),
    );
    bed.firehose?.setFaults(undefined);
    await cdc(bed.directory, 'dead-letter', 'retry', '--all');
    await cdc(bed.directory, 'backfill');
    await until(async () => (await firing()).length === 0);
  });

  test('a daemon that ends raises CdcDown', async () => {
    await bed.stop();
    await until(async () => (await firing()).includes('CdcDown'));
  });
});

/** With the rules as they are, except that they fire at once, and a scrape each second. */
async function startPrometheus(
  { command, env }: Runnable,
  target: string,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const rules = readYaml(RULES);
  for (const group of rules.groups) for (const rule of group.rules) if (rule.for) rule.for = '1s';
  writeFileSync(join(folder, 'fast.yaml'), stringify(rules));
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: ['fast.yaml'],
    scrape_configs: [{ job_name: 'cdc', static_configs: [{ targets: [target] }] }],
  };
  writeFileSync(join(folder, 'prometheus.yaml'), stringify(config));
  const listen = `127.0.0.1:${await freePort()}`;
  const words = [`--config.file=${join(folder, 'prometheus.yaml')}`, `--storage.tsdb.path=${join(folder, 'data')}`];
  const child = spawn(command, [...words, `--web.listen-address=${listen}`], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  let output = '';
  child.stderr.on('data', (data) => (output += data));
  const url = `http://${listen}`;
  await until(async () => {
    if (child.exitCode !== null) throw new Error(output);
    return await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  });
  return {
    url,
    stop: async () => {
      child.kill();
      await until(() => child.exitCode !== null || child.signalCode !== null);
    },
  };
}
