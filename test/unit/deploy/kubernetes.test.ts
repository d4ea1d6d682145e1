import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { type Document, loadDeployed, readFile, readManifests } from '../../deploy/deploy-files.ts';
import { parseCommand } from '../../deploy/parse-command.ts';

/** Of Kubernetes 1.34, see its $comment. A key that Kubernetes does not have is an error there. */
const schema = JSON.parse(readFile('test/deploy/schemas/kubernetes-1.34.json'));
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema(schema, 'kubernetes');

const groupOf: Record<string, string> = {
  'apps/v1': 'io.k8s.api.apps.v1',
  'networking.k8s.io/v1': 'io.k8s.api.networking.v1',
  'policy/v1': 'io.k8s.api.policy.v1',
  v1: 'io.k8s.api.core.v1',
};

function problemsOf({ apiVersion, kind, ...rest }: Document): unknown[] {
  const validate = ajv.getSchema(`kubernetes#/definitions/${groupOf[apiVersion]}.${kind}`);
  if (validate === undefined) return [`no schema of ${apiVersion} ${kind}`];
  validate({ apiVersion, kind, ...rest });
  return (validate.errors ?? []).map(({ instancePath, message, params }) => [instancePath, message, params]);
}

test('the schema finds a wrong key, a wrong type and a missing field', () => {
  const [wrong] = readManifests('config/deploy/kubernetes/single.yaml').filter(({ kind }) => kind === 'StatefulSet');
  const container = wrong.spec.template.spec.containers[0];
  container.livenesProbe = container.livenessProbe;
  container.livenessProbe.periodSeconds = 'ten';
  delete wrong.spec.serviceName;
  delete wrong.spec.selector;
  const found = JSON.stringify(problemsOf(wrong));
  expect(found).toContain('livenesProbe');
  expect(found).toContain('periodSeconds');
  expect(found).toContain('selector');
});

describe.each(['single', 'standby'])('config/deploy/kubernetes/%s.yaml', (name) => {
  const manifests = readManifests(`config/deploy/kubernetes/${name}.yaml`);
  const one = (kind: string): Document => manifests.find((manifest) => manifest.kind === kind);
  const { spec } = one('StatefulSet');
  const pod = spec.template.spec;
  const [container] = pod.containers;
  const labels = { 'app.kubernetes.io/name': 'cdc' };

  test.each(manifests.map((manifest) => [manifest.kind, manifest]))(
    '%s is valid by the schema of Kubernetes',
    (_, it) => {
      expect(problemsOf(it)).toEqual([]);
    },
  );

  test('all parts select the same pods', () => {
    expect(spec.template.metadata.labels).toEqual(labels);
    expect(spec.selector.matchLabels).toEqual(labels);
    expect(one('Service').spec.selector).toEqual(labels);
    expect(one('NetworkPolicy').spec.podSelector.matchLabels).toEqual(labels);
    expect(spec.serviceName).toBe(one('Service').metadata.name);
    expect(pod.serviceAccountName).toBe(one('ServiceAccount').metadata.name);
  });

  test('mounts volumes that are there', () => {
    const claims = spec.volumeClaimTemplates.map(({ metadata }: Document) => metadata.name);
    const volumes = pod.volumes.map((volume: Document) => volume.name);
    expect(container.volumeMounts.map((mount: Document) => mount.name).sort()).toEqual([...claims, ...volumes].sort());
    const [configuration, password] = pod.volumes;
    expect(configuration.configMap.name).toBe(one('ConfigMap').metadata.name);
    expect(password.secret.secretName).toBe(one('Secret').metadata.name);
  });

  test('has no privileges and writes only to its volumes', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.resources.limits.memory).toBe('512Mi');
    expect(container.resources.requests.cpu).toBeDefined();
    expect(pod.automountServiceAccountToken).toBe(false);
  });

  test('probes call the port by paths that a daemon has, without a Host of their own', () => {
    const probes = ['livenessProbe', 'startupProbe', 'readinessProbe'].map((probe) => container[probe].httpGet);
    const ready = name === 'single' ? '/readyz' : '/readyz?standby=ok';
    expect(probes.map(({ path }: Document) => path)).toEqual(['/healthz', '/healthz', ready]);
    const [{ name: port, containerPort }] = container.ports;
    expect(probes.every((probe: Document) => probe.port === port && probe.httpHeaders === undefined)).toBe(true);
    expect(spec.template.metadata.annotations).toMatchObject({ 'prometheus.io/port': String(containerPort) });
    expect(one('NetworkPolicy').spec.ingress[0].ports[0].port).toBe(containerPort);
    expect(pod.terminationGracePeriodSeconds).toBe(40);
  });

  test('starts a command of cdc', async () => {
    await parseCommand(container.args);
  });

  test('has a configuration that loads and fits the pod', () => {
    const config = loadDeployed(one('ConfigMap').data['cdc.yaml'], '/etc/cdc');
    expect(config.admin.address).toEqual({ host: '0.0.0.0', port: container.ports[0].containerPort });
    expect(config.admin.hosts).toContain(one('Service').metadata.name);
    const writable = container.volumeMounts.flatMap((mount: Document) => (mount.readOnly ? [] : [mount.mountPath]));
    const written = [config.admin.socket, config.dead_letter.directory];
    expect(written.filter((path) => !writable.some((folder: string) => path.startsWith(`${folder}/`)))).toEqual([]);
    expect(one('ConfigMap').data['cdc.yaml']).toContain(
      `password_file: ${container.volumeMounts[1].mountPath}/password`,
    );
    expect(Object.keys(one('Secret').stringData)).toEqual(['password']);
  });
});

test('the standby has two pods on two nodes, of which a drain takes one', () => {
  const manifests = readManifests('config/deploy/kubernetes/standby.yaml');
  const { spec } = manifests.find(({ kind }) => kind === 'StatefulSet');
  expect([spec.replicas, spec.podManagementPolicy]).toEqual([2, 'Parallel']);
  const [rule] = spec.template.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution;
  expect(rule.topologyKey).toBe('kubernetes.io/hostname');
  const budget = manifests.find(({ kind }) => kind === 'PodDisruptionBudget');
  expect(budget.spec).toEqual({ maxUnavailable: 1, selector: spec.selector });
});
