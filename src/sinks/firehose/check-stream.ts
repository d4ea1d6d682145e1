import type { DeliveryStreamDescription } from '@aws-sdk/client-firehose';
import { error, type Finding, transientError } from '../../model/finding.ts';
import { checkDestination, isPlainS3, type StreamOptionsToCheck } from './check-destination.ts';

export function checkStream(stream: DeliveryStreamDescription, options: StreamOptionsToCheck): Finding[] {
  const findings: Finding[] = [];
  const name = stream.DeliveryStreamName;
  if (stream.DeliveryStreamStatus !== 'ACTIVE') {
    const details = stream.FailureDescription?.Details;
    const why = `it accepts no records until it is ACTIVE${details ? `: ${details}` : ''}`;
    const what = `the stream ${name} is ${stream.DeliveryStreamStatus}`;
    findings.push(
      stream.DeliveryStreamStatus === 'CREATING'
        ? transientError(what, why, 'wait a minute; cdc run waits by itself')
        : error(what, why, 'delete the stream and create it again, or set firehose.stream to another stream'),
    );
  }
  if (stream.DeliveryStreamType !== 'DirectPut') {
    const why = 'the stream reads from its source, and accepts no PutRecordBatch';
    const fix = 'create a stream with the source Direct PUT, and set firehose.stream to it';
    findings.push(error(`the stream ${name} has the source ${stream.DeliveryStreamType}, not Direct PUT`, why, fix));
  }
  const encryption = stream.DeliveryStreamEncryptionConfiguration;
  if (encryption?.Status === 'ENABLING_FAILED') {
    const why = encryption.FailureDescription?.Details ?? 'Firehose rejects records that it cannot encrypt';
    const fix = 'repair the KMS key or its grants, or disable server-side encryption';
    findings.push(error(`encryption of the stream ${name} could not be enabled`, why, fix));
  }
  for (const destination of stream.Destinations ?? []) {
    findings.push(...checkDestination(name ?? '', destination, options));
  }
  if (options.compression === 'gzip' && !stream.Destinations?.every(isPlainS3)) {
    const why =
      'only an S3 destination without compression, format conversion and processing stores the records unchanged';
    findings.push(error(`the stream ${name} cannot take compressed records`, why, 'firehose.compression: none'));
  }
  return findings;
}
