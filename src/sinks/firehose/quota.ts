import type { Quota } from '../sink.ts';

const MIB = 1024 * 1024;
const LARGE_REGIONS = new Set(['us-east-1', 'us-west-2', 'eu-west-1']);
const LARGE_REGION_QUOTA: Quota = { records: 500_000, requests: 2_000, bytes: 5 * MIB };
const OTHER_REGION_QUOTA: Quota = { records: 100_000, requests: 1_000, bytes: MIB };

/** The quota of a Direct PUT stream, unless AWS has raised it (Amazon Data Firehose quota page). */
export const defaultQuota = (region: string): Quota =>
  LARGE_REGIONS.has(region) ? LARGE_REGION_QUOTA : OTHER_REGION_QUOTA;
