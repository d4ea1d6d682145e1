import type { CreateDeliveryStreamCommandInput } from '@aws-sdk/client-firehose';
import type { Stack } from './resolve.ts';

/** The call that CloudFormation makes of a stream. Some fields have other names in the API. */
const API_NAMES: Readonly<Record<string, string>> = { CatalogArn: 'CatalogARN', s3BackupMode: 'S3BackupMode' };

export function createInput({ Resources: resources }: Stack): CreateDeliveryStreamCommandInput {
  return rename(resources.Stream!.Properties) as CreateDeliveryStreamCommandInput;
}

function rename(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rename);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [API_NAMES[name] ?? name, rename(inner)]));
}
