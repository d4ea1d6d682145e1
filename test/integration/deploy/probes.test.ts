import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Document, readManifests } from '../../deploy/deploy-files.ts';
import { AdminDaemon, addressOf, httpCall } from '../admin/admin-daemon.ts';
import { startCdc } from '../pipeline-fixture.ts';

/**
 * The probes of the manifests, against a daemon that listens on every address, as in a container. The kubelet and
 * Prometheus call a pod by its address; here that is another address of the loopback interface.
 */

const POD = '127.0.0.7';
let bed: AdminDaemon;
let port: string;

beforeAll(async () => {
  bed = new AdminDaemon(inject('mysqlUrl'), 'deploy_probes');
  await bed.createSchema('CREATE TABLE orders (id INT PRIMARY KEY)');
  const { endpoint } = await bed.startFirehose();
  bed.configure(endpoint, 'admin: { listen: "0.0.0.0:0", hosts: [cdc] }\n');
  bed.daemon = await bed.run();
  port = new URL(addressOf(bed.daemon)).port;
  await bed.query('INSERT INTO deploy_probes.orders VALUES (1)');
  await bed.delivered();
});
afterAll(() => bed.remove());

const get = (path: string, host?: string) =>
  httpCall(`http://${POD}:${port}`, path, host === undefined ? {} : { headers: { Host: host } });

const probes = ['single', 'standby'].flatMap((name) =>
  readManifests(`config/deploy/kubernetes/${name}.yaml`)
    .filter(({ kind }) => kind === 'StatefulSet')
    .flatMap(({ spec }) => spec.template.spec.containers as Document[])
    .flatMap(({ startupProbe, livenessProbe, readinessProbe }) => [startupProbe, livenessProbe, readinessProbe])
    .map(({ httpGet }) => [name, httpGet.path] as const),
);

describe('a daemon in a pod', () => {
  test.each(probes)('answers the probe of %s.yaml, %s, by the address of the pod', async (_, path) => {
    const { status, text } = await get(path);
    expect([status, text]).toEqual([200, expect.any(String)]);
  });

  test('answers Prometheus by the address of the pod, and by a name of admin.hosts', async () => {
    for (const host of [undefined, 'cdc:8686']) {
      const { status, text } = await get('/metrics', host);
      expect([status, text.includes('cdc_streaming 1')]).toEqual([200, true]);
    }
  });

  test.each(['/healthz', '/readyz', '/metrics'])('refuses %s under a name that is not its own', async (path) => {
    expect((await get(path, 'evil.example.com')).status).toBe(403);
    // An address that the connection did not come to.
    expect((await get(path, '10.1.2.3:8686')).status).toBe(403);
  });

  test('is alive for the health check of the image, through its socket', async () => {
    const { code, stdout, stderr } = await startCdc(bed.directory, 'status', '--alive').ended;
    expect([code, stdout, stderr]).toEqual([0, '', '']);
  });

  test('is not alive once it has ended', async () => {
    await bed.stop();
    const { code, stderr } = await startCdc(bed.directory, 'status', '--alive').ended;
    expect([code, stderr]).toEqual([1, expect.stringContaining('the daemon does not answer')]);
  });
});
