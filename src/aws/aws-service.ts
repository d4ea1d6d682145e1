/** A service of AWS that takes records, as messages name it and what belongs to it. */
export interface AwsService {
  /** The short name: `Firehose`. */
  name: string;
  product: string;
  /** Its section of the configuration. */
  section: string;
  /** The actions that write records and describe a stream, as a policy names them. */
  write: string;
  describe: string;
  /** What to create where a stream is missing. */
  create: string;
  /** The resource of a stream in a policy. */
  resource: (stream: string) => string;
}

export const FIREHOSE: AwsService = {
  name: 'Firehose',
  product: 'Amazon Data Firehose',
  section: 'firehose',
  write: 'firehose:PutRecordBatch',
  describe: 'firehose:DescribeDeliveryStream',
  create: 'create it with the source Direct PUT',
  resource: (stream) => `arn:aws:firehose:*:*:deliverystream/${stream}`,
};

export const KINESIS: AwsService = {
  name: 'Kinesis',
  product: 'Amazon Kinesis Data Streams',
  section: 'kinesis',
  write: 'kinesis:PutRecords',
  describe: 'kinesis:DescribeStreamSummary',
  create: 'create it',
  resource: (stream) => `arn:aws:kinesis:*:*:stream/${stream}`,
};
