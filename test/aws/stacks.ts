import { checkAlarms } from './alarm-rules.ts';
import type { TemplateFinding } from './finding.ts';
import { checkLimits } from './firehose-limits.ts';
import { checkFirehose } from './firehose-rules.ts';
import { checkPolicies } from './policy-rules.ts';
import { checkReferences } from './references.ts';
import { type Parameters, resolveTemplate } from './resolve.ts';
import { attributesOf, checkSchemas } from './resource-schema.ts';
import type { Template } from './template.ts';

/** Parameters that each template is deployed with in the tests: all parameters without a default, and every branch. */

const ACCOUNT = '123456789012';
const KMS = `arn:aws:kms:eu-west-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const SECRET = `arn:aws:secretsmanager:eu-west-1:${ACCOUNT}:secret:cdc-AbCdEf`;

const PLAIN: Parameters = { DataLocation: 'shop-lake' };
const FULL: Parameters = {
  ...PLAIN,
  Environment: 'production',
  DataLocationIs: 'existing',
  KmsKeyArn: KMS,
  AlarmTopicArn: `arn:aws:sns:eu-west-1:${ACCOUNT}:on-call`,
};
const KMS_BUCKET: Parameters = { ...PLAIN, KmsKeyArn: KMS };

const SNOWFLAKE: Parameters = { AccountUrl: 'https://shop-eu.snowflakecomputing.com', SecretArn: SECRET };
const CLUSTER = 'shop.abc123.eu-west-1.redshift.amazonaws.com';

/** The first one is the usual one. */
export const SAMPLES: Readonly<Record<string, readonly [Parameters, ...Parameters[]]>> = {
  s3: [
    PLAIN,
    FULL,
    KMS_BUCKET,
    { ...PLAIN, FoldersBy: 'none' },
    { ...PLAIN, Format: 'flat' },
    { ...PLAIN, Format: 'maxwell' },
  ],
  parquet: [PLAIN, FULL, KMS_BUCKET, { ...PLAIN, GlueTableIs: 'existing' }],
  redshift: [
    { ...PLAIN, WorkgroupName: 'shop', SecretArn: SECRET },
    { ...FULL, RedshiftType: 'provisioned', ClusterEndpoint: CLUSTER, SecretArn: SECRET },
    { ...KMS_BUCKET, WorkgroupName: 'shop', SecretArn: SECRET },
  ],
  snowflake: [
    { ...PLAIN, ...SNOWFLAKE },
    { ...FULL, ...SNOWFLAKE },
    { ...KMS_BUCKET, ...SNOWFLAKE },
  ],
  iceberg: [PLAIN, FULL, KMS_BUCKET],
};

/** Everything that is wrong with a template that is deployed with these parameters. */
export function checkStack(template: Template, parameters: Parameters): TemplateFinding[] {
  const stack = resolveTemplate(template, parameters);
  const references = [...checkReferences(template, attributesOf), ...stack.findings];
  // The other rules would only find what follows from a missing name.
  if (references.some(({ rule }) => !rule.startsWith('unused'))) return references;
  const checks = [checkSchemas, checkLimits, checkFirehose, checkPolicies, checkAlarms];
  return [...references, ...checks.flatMap((check) => check(stack))];
}
