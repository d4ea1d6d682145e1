import { parseSize } from '../../config/units.ts';
import type { KinesisSource } from '../../local/firehose/kinesis-source.ts';
import type { RedshiftOptions } from '../../local/firehose/redshift/destination.ts';
import type { StreamOptions } from '../../local/firehose/stream-options.ts';
import { CdcError } from '../../runtime/error.ts';

/** The flags of `cdc firehose`. */
export interface FirehoseFlags {
  listen: string;
  lake: string;
  stream?: string[];
  strict?: true;
  bufferSeconds: string;
  bufferSize?: string;
  gzip?: true;
  prefix?: string;
  errorPrefix?: string;
  partition?: string;
  kinesisStream?: string;
  kinesisEndpoint: string;
  faults?: string;
  ledger?: string;
  warehouse?: string;
  warehouseListen: string;
  redshift?: string;
  redshiftUser: string;
  table?: string;
  columns?: string;
  copyOptions?: string;
  retrySeconds: string;
}

/**
 * The settings of each stream that the flags create.
 * @param jdbcUrl the embedded warehouse, if there is one
 * @throws CdcError with exit code 2
 */
export function streamSettings(flags: FirehoseFlags, jdbcUrl: string | undefined): Omit<StreamOptions, 'name'> {
  const bufferSize = flags.bufferSize === undefined ? undefined : parseSize(flags.bufferSize);
  if (flags.bufferSize !== undefined && bufferSize === undefined) {
    throw usageError(`--buffer-size ${flags.bufferSize} is not a size`, 'write it as 5MiB, or as a number of bytes');
  }
  const bufferSeconds = flags.bufferSeconds.trim() === '' ? Number.NaN : Number(flags.bufferSeconds);
  if (Number.isNaN(bufferSeconds)) {
    throw usageError(`--buffer-seconds ${flags.bufferSeconds} is not a number`, 'write seconds, 0 to 900');
  }
  const { gzip, prefix, errorPrefix: errorOutputPrefix, partition } = flags;
  const redshift = redshiftSettings(flags, flags.redshift ?? jdbcUrl);
  return { bufferSize, bufferSeconds, gzip, prefix, errorOutputPrefix, partition, redshift };
}

function redshiftSettings(flags: FirehoseFlags, jdbcUrl: string | undefined): RedshiftOptions | undefined {
  const { table, columns, gzip, partition } = flags;
  if (table === undefined) {
    if (flags.redshift === undefined) return undefined;
    throw usageError('--redshift needs a table', 'name the table of the streams with --table');
  }
  if (jdbcUrl === undefined) {
    throw usageError('--table needs a warehouse', 'name a folder with --warehouse, or a server with --redshift');
  }
  if (partition !== undefined) {
    throw usageError('--table and --partition exclude each other', 'as on AWS, a stream has one table for all records');
  }
  const retrySeconds = flags.retrySeconds.trim() === '' ? Number.NaN : Number(flags.retrySeconds);
  if (Number.isNaN(retrySeconds)) {
    throw usageError(`--retry-seconds ${flags.retrySeconds} is not a number`, 'write seconds, 0 to 7200');
  }
  return {
    jdbcUrl,
    user: flags.redshiftUser,
    // The embedded warehouse asks for none.
    password: process.env.CDC_REDSHIFT_PASSWORD ?? 'password',
    table,
    columns,
    copyOptions: flags.copyOptions ?? (gzip ? "JSON 'auto' GZIP" : "JSON 'auto'"),
    retrySeconds,
  };
}

/** The data stream that is read. @throws CdcError with exit code 2 */
export function kinesisSource({ kinesisStream, kinesisEndpoint }: FirehoseFlags): KinesisSource | undefined {
  if (!/^https?:\/\//.test(kinesisEndpoint) || !URL.canParse(kinesisEndpoint)) {
    throw usageError(`--kinesis-endpoint ${kinesisEndpoint} is not a URL`, 'write it as http://127.0.0.1:4567');
  }
  return kinesisStream === undefined ? undefined : { stream: kinesisStream, endpoint: kinesisEndpoint };
}

/** @throws CdcError with exit code 2 */
export function parseListen(text: string, flag = '--listen'): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (!host || port > 65535) {
    throw usageError(`${flag} ${text} is not an address`, 'write it as 127.0.0.1:4573, or with port 0 for a free port');
  }
  return { host, port };
}

const usageError = (message: string, hint: string) => new CdcError(message, { exitCode: 2, hint });
