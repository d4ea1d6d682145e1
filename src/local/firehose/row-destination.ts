import type { Json } from './put-request.ts';
import { optional } from './request-fields.ts';

/** Where rows land that the destination does not take: below the S3 configuration, which is for them only. */
export function failedPrefix(s3: Json): string {
  const given = optional(s3.ErrorOutputPrefix, 'string');
  if (given) return given;
  return `${optional(s3.Prefix, 'string') ?? ''}!{firehose:error-output-type}/`;
}
