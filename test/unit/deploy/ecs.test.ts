import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findingText } from '../../aws/finding.ts';
import { checkReferences } from '../../aws/references.ts';
import { resolveTemplate } from '../../aws/resolve.ts';
import { attributesOf, checkSchemas } from '../../aws/resource-schema.ts';
import { readTemplateFile } from '../../aws/template.ts';
import { type Document, loadDeployed, readFile, root } from '../../deploy/deploy-files.ts';
import { cdcWords, parseCommand } from '../../deploy/parse-command.ts';

const ACCOUNT = '123456789012';
const PARAMETERS = {
  ImageUri: `${ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/cdc:0.1.0`,
  ClusterName: 'shop',
  SubnetIds: ['subnet-1', 'subnet-2'] as unknown as string,
  SecurityGroupIds: ['sg-1'] as unknown as string,
  SourceUrl: 'mysql://cdc@db.example.com:3306',
  PasswordSecretArn: `arn:aws:secretsmanager:eu-west-1:${ACCOUNT}:secret:cdc-AbCdEf`,
  StreamName: 'shop-changes-staging',
  ProducerPolicyArn: `arn:aws:iam::${ACCOUNT}:policy/shop-changes-producer`,
  FileSystemId: 'fs-0123456789abcdef0',
  AccessPointId: 'fsap-0123456789abcdef0',
};

const template = readTemplateFile(join(root, 'config/deploy/ecs/cdc.yaml'));
const stack = resolveTemplate(template, PARAMETERS);
const resource = (id: string): Document => stack.Resources[id]?.Properties;
const [writer, cdc] = resource('TaskDefinition').ContainerDefinitions;

test('the template is valid by the schemas of CloudFormation, and all its names are there', () => {
  const findings = [...checkReferences(template, attributesOf), ...stack.findings, ...checkSchemas(stack)];
  expect(findings.map(findingText)).toEqual([]);
  // CloudFormation has no aliases of YAML.
  expect(readFile('config/deploy/ecs/cdc.yaml')).not.toMatch(/^[^#]*: [*&]\w/m);
});

test('the schema finds a wrong key', () => {
  const wrong = structuredClone(stack);
  (wrong.Resources.TaskDefinition as Document).Properties.ContainerDefinitions[1].HealthChek = {};
  expect(checkSchemas(wrong).map(findingText)).toEqual([
    'unknown-property: TaskDefinition.ContainerDefinitions.1.HealthChek',
  ]);
});

test('the tasks have a size of Fargate', () => {
  const { Cpu, Memory, NetworkMode, RequiresCompatibilities } = resource('TaskDefinition');
  // AWS allows 1 to 4 GB for half a CPU.
  expect([Cpu, NetworkMode, RequiresCompatibilities]).toEqual(['512', 'awsvpc', ['FARGATE']]);
  expect([1024, 2048, 3072, 4096]).toContain(Number(Memory));
});

test('the containers have no privileges, and cdc has time to deliver', () => {
  expect([writer.ReadonlyRootFilesystem, cdc.ReadonlyRootFilesystem]).toEqual([true, true]);
  expect([cdc.User, cdc.LinuxParameters.Capabilities.Drop]).toEqual(['1000:1000', ['ALL']]);
  // Fargate allows up to 120.
  expect(cdc.StopTimeout).toBe(40);
  expect([writer, cdc].map(({ LogConfiguration: log }) => log.LogDriver)).toEqual(['awslogs', 'awslogs']);
});

test('cdc waits for its configuration, and both mount volumes that are there', () => {
  expect(cdc.DependsOn).toEqual([{ ContainerName: writer.Name, Condition: 'SUCCESS' }]);
  const volumes = resource('TaskDefinition').Volumes.map(({ Name }: Document) => Name);
  const mounted = [writer, cdc].flatMap(({ MountPoints }) => MountPoints.map((mount: Document) => mount.SourceVolume));
  expect([...new Set(mounted)].sort()).toEqual(volumes.sort());
});

test('the command and the health check are commands of cdc', async () => {
  await parseCommand(cdc.Command);
  await parseCommand(cdcWords(cdc.HealthCheck.Command) as string[]);
  expect(cdc.HealthCheck).toMatchObject({ Interval: 30, Timeout: 10 });
});

test('the script that writes the configuration is JavaScript, for the folders that are mounted', () => {
  const [script] = writer.Command;
  expect(() => new Function(script.replace(/require\([^)]*\)/, '{}'))).not.toThrow();
  const paths = [...script.matchAll(/'(\/[\w/.]+)'/g)].map((match) => match[1]);
  expect(paths).toEqual(['/etc/cdc/cdc.yaml', '/run/cdc']);
});

test('the roles do only what they need', () => {
  const statements = ['ExecutionRole', 'TaskRole'].flatMap((id) =>
    resource(id).Policies.flatMap(({ PolicyDocument: document }: Document) => document.Statement),
  );
  expect(statements.length).toBe(3);
  for (const { Action, Resource } of statements) {
    expect([Action].flat().filter((action: string) => action.includes('*'))).toEqual([]);
    expect(Resource).toMatch(/^arn:aws:[a-z]+:eu-west-1:123456789012:[^*]+$/);
  }
  for (const id of ['ExecutionRole', 'TaskRole']) {
    const [trust] = resource(id).AssumeRolePolicyDocument.Statement;
    expect(trust.Principal).toEqual({ Service: 'ecs-tasks.amazonaws.com' });
    expect(trust.Condition.StringEquals['aws:SourceAccount']).toBe(ACCOUNT);
  }
});

describe('its configuration', () => {
  const [{ Value: text }] = writer.Environment;

  test('takes the password from the secret', () => {
    expect(text).toContain(`password: \${${cdc.Secrets[0].Name}}`);
  });

  test('loads, and fits the task', () => {
    const config = loadDeployed(text, '/etc/cdc', { CDC_MYSQL_PASSWORD: 'of-the-test' });
    expect(config.admin.address).toEqual({ host: '0.0.0.0', port: cdc.PortMappings[0].ContainerPort });
    const writable = cdc.MountPoints.flatMap((mount: Document) => (mount.ReadOnly ? [] : [mount.ContainerPath]));
    const written = [config.admin.socket, config.dead_letter.directory];
    expect(written.filter((path) => !writable.some((one: string) => path.startsWith(`${one}/`)))).toEqual([]);
  });
});
