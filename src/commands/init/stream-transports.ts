import type { Asking, InitTransport, TransportFlag, TransportFlags } from './transport.ts';
import { literal, optionalKey, type WrittenKey } from './written-key.ts';

const FLAGS: readonly TransportFlag[] = [
  { name: 'stream', option: '--stream <name>', description: 'stream of firehose or kinesis', key: ['stream'] },
  {
    name: 'region',
    option: '--region <region>',
    description: 'its region (default: that of the AWS configuration)',
    key: ['region'],
  },
  {
    name: 'endpoint',
    option: '--endpoint <url>',
    description: 'endpoint of a local Firehose or Kinesis, or of a VPC',
    key: ['endpoint'],
  },
];

/** What differs between Firehose and Kinesis. */
interface StreamTransport {
  section: 'firehose' | 'kinesis';
  title: string;
  purpose: string;
  example: string;
  /** Something else than AWS. */
  local: { label: string; hint: string; endpoint: string };
  /** Keys behind the section. */
  more?: WrittenKey[];
}

const streamTransport = ({ section, local, example, more = [], ...texts }: StreamTransport): InitTransport => ({
  ...texts,
  flags: FLAGS,
  example: () => example,
  least: { stream: 'any' },
  missing: ({ stream }) => (stream === undefined ? ['--stream'] : []),
  ask: (flags, asking) => askStream(flags, local, asking),
  password: () => undefined,
  note: () => undefined,
  keys: ({ stream = '', region, endpoint }) => [
    {
      key: section,
      entries: [
        optionalKey('region', region, 'eu-west-1'),
        { key: 'stream', value: literal(stream) },
        optionalKey('endpoint', endpoint, local.endpoint),
      ],
    },
    ...more,
  ],
});

async function askStream(flags: TransportFlags, local: StreamTransport['local'], asking: Asking) {
  const { pipeline, prompts, problem } = asking;
  const place = flags.region === undefined && flags.endpoint === undefined ? await askPlace(local, asking) : {};
  const proposed = `${pipeline}-changes`;
  const initialValue = problem('stream', proposed) === undefined ? proposed : pipeline;
  const validate = (value: string) => problem('stream', value);
  const stream = flags.stream ?? (await prompts.text('The stream', { initialValue, validate }));
  return { ...flags, ...place, stream };
}

/** The region, or the address of something else; an empty region is that of the AWS configuration. */
async function askPlace({ endpoint, ...choice }: StreamTransport['local'], { prompts, problem }: Asking) {
  const aws = { value: 'aws', label: 'on AWS' };
  if ((await prompts.choose('Where the stream is', [aws, { value: 'local', ...choice }])) === 'local') {
    const validate = (value: string) => problem('endpoint', value);
    return { endpoint: await prompts.text('Its address', { initialValue: endpoint, validate }) };
  }
  const region = await prompts.text('Its AWS region (empty for that of the AWS configuration)', {
    initialValue: process.env.AWS_REGION ?? '',
    validate: (value) => (value === '' ? undefined : problem('region', value)),
  });
  return region === '' ? {} : { region };
}

export const firehoseTransport = streamTransport({
  section: 'firehose',
  title: 'Amazon Data Firehose',
  purpose: 'fills a lake or a warehouse: S3, Redshift, Snowflake, Iceberg',
  example: '--stream shop-changes --region eu-west-1',
  local: { label: 'on this machine (cdc firehose)', hint: 'to try it', endpoint: 'http://127.0.0.1:4573' },
  more: [{ key: 'lake', value: 's3://bucket/prefix', disabled: true }],
});

export const kinesisTransport = streamTransport({
  section: 'kinesis',
  title: 'Amazon Kinesis Data Streams',
  purpose: 'programs on AWS read the changes of each row in order',
  example: '--transport kinesis --stream shop-changes --region eu-west-1',
  local: { label: 'at another address', hint: 'a local Kinesis', endpoint: 'http://127.0.0.1:4567' },
});
