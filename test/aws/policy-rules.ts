import type { TemplateFinding } from './finding.ts';
import type { Stack } from './resolve.ts';

/** Least privilege, encryption and privacy of what a stack creates. */

// biome-ignore lint/suspicious/noExplicitAny: documents whose types the schema check has seen
type Document = any;

const PRODUCER_ACTIONS = ['firehose:DescribeDeliveryStream', 'firehose:PutRecordBatch'];

export function checkPolicies({ Resources: resources }: Stack): TemplateFinding[] {
  const findings: TemplateFinding[] = [];
  const report = (rule: string, where: string) => findings.push({ rule, where });
  for (const [id, resource] of Object.entries(resources)) {
    const properties = (resource.Properties ?? {}) as Document;
    for (const statement of statementsOf(properties)) checkStatement(statement, id, report);
    if (resource.Type === 'AWS::IAM::Role') checkTrust(properties, id, report);
    if (resource.Type === 'AWS::S3::Bucket') checkBucket(resource as Document, id, report);
    if (resource.Type === 'AWS::Logs::LogGroup' && !properties.RetentionInDays) report('log-retention', id);
  }
  checkProducer(resources, report);
  checkDelivery(resources, report);
  return findings;
}

type Report = (rule: string, where: string) => void;

const listOf = (value: unknown): string[] => [value ?? []].flat() as string[];

const statementsOf = (properties: Document): Document[] =>
  [properties.PolicyDocument, ...(properties.Policies ?? []).map((one: Document) => one.PolicyDocument)]
    .filter(Boolean)
    .flatMap((document) => document.Statement);

function checkStatement(statement: Document, id: string, report: Report): void {
  if (statement.Effect === 'Deny') return;
  const actions = listOf(statement.Action);
  if (actions.some((action) => action.includes('*'))) report('any-action', `${id} ${actions}`);
  for (const resource of listOf(statement.Resource)) {
    // `arn:aws:s3:::*` and `arn:aws:glue:*` are as wide as `*`.
    if (resource === '*' || /^arn:[^:]*:\w+:(?:[^:]*:[^:]*:)?\*/.test(resource))
      report('any-resource', `${id} ${actions}`);
  }
  if (statement.Resource === undefined) report('any-resource', `${id} ${actions}`);
}

function checkTrust({ AssumeRolePolicyDocument: trust }: Document, id: string, report: Report): void {
  for (const { Principal: who, Condition: when } of trust.Statement) {
    if (who?.Service !== 'firehose.amazonaws.com') report('trust-firehose', id);
    // Firehose of another account must not use the role.
    if (!when?.StringEquals?.['aws:SourceAccount']) report('trust-account', id);
  }
}

function checkBucket(
  { DeletionPolicy: onDelete, UpdateReplacePolicy: onReplace, Properties: bucket }: Document,
  id: string,
  report: Report,
): void {
  const block = bucket.PublicAccessBlockConfiguration ?? {};
  const flags = ['BlockPublicAcls', 'BlockPublicPolicy', 'IgnorePublicAcls', 'RestrictPublicBuckets'];
  if (flags.some((flag) => block[flag] !== true)) report('public-access', id);
  const [rule] = bucket.BucketEncryption?.ServerSideEncryptionConfiguration ?? [];
  const { SSEAlgorithm: algorithm, KMSMasterKeyID: key } = rule?.ServerSideEncryptionByDefault ?? {};
  if (!['AES256', 'aws:kms'].includes(algorithm) || (algorithm === 'aws:kms') !== Boolean(key)) {
    report('bucket-encryption', id);
  }
  if (onDelete !== 'Retain' || onReplace !== 'Retain') report('bucket-retained', id);
}

/** cdc gets two actions on this stream, and nothing else. */
function checkProducer(resources: Stack['Resources'], report: Report): void {
  const { ProducerPolicy: policy, Stream: stream } = resources;
  const statements = statementsOf(policy?.Properties ?? {});
  const [{ Action: actions, Resource: resource } = {} as Document, ...others] = statements;
  const name = (stream?.Properties as Document)?.DeliveryStreamName;
  const isExact =
    others.length === 0 &&
    String(listOf(actions).sort()) === String(PRODUCER_ACTIONS) &&
    listOf(resource).length === 1 &&
    String(resource).endsWith(`:deliverystream/${name}`);
  if (!isExact) report('producer-policy', 'ProducerPolicy');
}

/** What the stream needs, the role of the delivery allows. */
function checkDelivery({ DeliveryRole: role, Stream: stream }: Stack['Resources'], report: Report): void {
  const statements = statementsOf(role?.Properties ?? {});
  const allows = (action: string, resource: string): boolean =>
    statements.some(
      ({ Effect, Action, Resource }) =>
        Effect === 'Allow' && listOf(Action).includes(action) && listOf(Resource).some((one) => covers(one, resource)),
    );
  const need = (action: string, resource: string): void => {
    if (!allows(action, resource)) report('delivery-policy', `DeliveryRole ${action} ${resource}`);
  };
  const streamText = JSON.stringify(stream?.Properties ?? {});
  for (const s3 of s3Configurations(stream?.Properties as Document)) {
    for (const action of ['s3:GetBucketLocation', 's3:ListBucket', 's3:ListBucketMultipartUploads']) {
      need(action, s3.BucketARN);
    }
    for (const prefix of [s3.Prefix, s3.ErrorOutputPrefix].filter(Boolean)) {
      for (const action of ['s3:AbortMultipartUpload', 's3:GetObject', 's3:PutObject']) {
        need(action, `${s3.BucketARN}/${prefix}object`);
      }
    }
    const key = s3.EncryptionConfiguration?.KMSEncryptionConfig?.AWSKMSKeyARN;
    if (key) for (const action of ['kms:Decrypt', 'kms:GenerateDataKey']) need(action, key);
  }
  for (const [, secret] of streamText.matchAll(/"SecretARN":"([^"]+)"/g))
    need('secretsmanager:GetSecretValue', secret!);
  for (const [, group, log] of streamText.matchAll(/"LogGroupName":"([^"]+)","LogStreamName":"([^"]+)"/g)) {
    need('logs:PutLogEvents', `arn:aws:logs:eu-west-1:123456789012:log-group:${group}:log-stream:${log}`);
  }
  checkCatalog(stream?.Properties as Document, need);
}

function checkCatalog(stream: Document, need: (action: string, resource: string) => void): void {
  const schema = stream?.ExtendedS3DestinationConfiguration?.DataFormatConversionConfiguration?.SchemaConfiguration;
  if (schema) {
    const { Region: region, CatalogId: account, DatabaseName: database, TableName: table } = schema;
    const glue = `arn:aws:glue:${region}:${account}`;
    for (const action of ['glue:GetTable', 'glue:GetTableVersion', 'glue:GetTableVersions']) {
      for (const resource of ['catalog', `database/${database}`, `table/${database}/${table}`]) {
        need(action, `${glue}:${resource}`);
      }
    }
  }
  const catalog = stream?.IcebergDestinationConfiguration?.CatalogConfiguration?.CatalogArn;
  const database = /destinationDatabaseName: "(\w+)"/.exec(JSON.stringify(stream).replaceAll('\\"', '"'))?.[1];
  if (!catalog || !database) return;
  const glue = String(catalog).replace(/:catalog$/, '');
  for (const action of ['glue:GetTable', 'glue:GetDatabase', 'glue:UpdateTable']) {
    for (const resource of ['catalog', `database/${database}`, `table/${database}/orders`]) {
      need(action, `${glue}:${resource}`);
    }
  }
}

const s3Configurations = (stream: Document): Document[] =>
  Object.entries(stream ?? {}).flatMap(([name, one]) =>
    name.endsWith('DestinationConfiguration')
      ? [one, (one as Document).S3Configuration].filter((s3) => s3?.BucketARN)
      : [],
  );

/** IAM's `*` matches any characters. */
const covers = (pattern: string, resource: string): boolean =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
  ).test(resource);
