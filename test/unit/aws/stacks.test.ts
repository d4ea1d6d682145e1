import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../../src/config/load.ts';
import { findingText } from '../../aws/finding.ts';
import { resolveTemplate } from '../../aws/resolve.ts';
import { checkStack, SAMPLES } from '../../aws/stacks.ts';
import { readTemplate, templateNames, templatePath } from '../../aws/template.ts';
import { firehoseOf } from '../config/config-from.ts';

test('every template has samples', () => {
  expect(Object.keys(SAMPLES).sort()).toEqual(templateNames().sort());
});

const samples = Object.entries(SAMPLES).flatMap(([name, all]) =>
  all.map((parameters) => [name, parameters, Object.entries(parameters).join(' ')] as const),
);

test.each(samples)('%s.yaml is valid with %o', (name, parameters) => {
  expect(checkStack(readTemplate(name), parameters).map(findingText)).toEqual([]);
});

test.each(Object.entries(SAMPLES))('the samples of %s.yaml make each condition true and false', (name, all) => {
  const template = readTemplate(name);
  const values = all.map((parameters) => resolveTemplate(template, parameters).conditions);
  for (const condition of Object.keys(template.Conditions)) {
    expect([condition, new Set(values.map((value) => value[condition]))]).toEqual([condition, new Set([true, false])]);
  }
});

test.each(templateNames())('%s.yaml is small enough to be sent with the call', (name) => {
  expect(statSync(templatePath(name)).size).toBeLessThan(51_200);
});

/** The same parts of several templates, word for word: a fix of one must reach all. */
const COMMON = {
  Parameters: [
    'Environment',
    'DataLocation',
    'DataLocationIs',
    'StreamName',
    'KmsKeyArn',
    'AlarmTopicArn',
    'LateAfterSeconds',
  ],
  Conditions: ['IsProduction', 'NewBucket', 'UseKms', 'HasAlarmTopic'],
  Resources: ['Bucket', 'BucketPolicy', 'LogGroup', 'ProducerPolicy', 'StreamIsThrottled'],
} as const;

test.each(templateNames())('%s.yaml has the common parts as s3.yaml has them', (name) => {
  const [first, other] = [readTemplate('s3'), readTemplate(name)];
  for (const section of ['Parameters', 'Conditions', 'Resources'] as const) {
    for (const part of COMMON[section]) expect([part, other[section][part]]).toEqual([part, first[section][part]]);
  }
});

/** What the output says of the events, by template. */
const EVENTS: Readonly<Record<string, object>> = {
  s3: { format: 'debezium', lake: 's3://shop-lake/shop-changes-staging/events/' },
  parquet: { format: 'flat', tables: ['shop.orders'] },
  redshift: { format: 'debezium' },
  snowflake: { format: 'debezium' },
  iceberg: { format: 'flat', tables: ['shop.*'] },
};

test.each(Object.entries(SAMPLES))('the output of %s.yaml goes into cdc.yaml as it is', (name, [parameters]) => {
  const { CdcConfiguration: lines } = resolveTemplate(readTemplate(name), parameters).Outputs;
  const at = { file: 'cdc.yaml', directory: '/', env: {} };
  const tables = /^tables:/m.test(lines!) ? '' : 'tables: ["shop.*"]\n';
  const config = parseConfig(`source: { url: "mysql://cdc:x@127.0.0.1" }\n${tables}${lines}`, at);
  expect(config).toMatchObject({
    ...EVENTS[name],
    firehose: { region: 'eu-west-1', stream: 'shop-changes-staging' },
  });
  // Where each record is a row or a document, it must hold one event.
  expect(firehoseOf(config).aggregate === 'off').toBe(name === 'snowflake' || name === 'iceberg');
  expect(Object.keys(parse(lines!))).toEqual(expect.arrayContaining(['format', 'firehose']));
});

/** The linter of CloudFormation, where it is installed (pip install cfn-lint): it has patterns of every resource. */
const linter = spawnSync('cfn-lint', ['--version']);

test.skipIf(linter.error || linter.status !== 0).each(templateNames())('cfn-lint finds no error in %s.yaml', (name) => {
  const { status, stdout } = spawnSync('cfn-lint', ['--non-zero-exit-code', 'error', templatePath(name)], {
    encoding: 'utf8',
  });
  expect([status, stdout.split('\n').filter((line) => line.startsWith('E'))]).toEqual([0, []]);
});
