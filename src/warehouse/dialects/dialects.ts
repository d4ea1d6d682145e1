import type { Dialect, DialectName } from '../dialect.ts';
import { athena } from './athena.ts';
import { bigquery } from './bigquery.ts';
import { duckdb } from './duckdb.ts';
import { postgres } from './postgres.ts';
import { redshift } from './redshift.ts';
import { snowflake } from './snowflake.ts';
import { spark } from './spark.ts';

export const DIALECTS: Readonly<Record<DialectName, Dialect>> = {
  redshift,
  athena,
  snowflake,
  bigquery,
  spark,
  postgres,
  duckdb,
};
