import type { Connection } from 'mysql2/promise';
import { compileDestinations } from '../../config/destinations.ts';
import type { Config } from '../../config/schema.ts';
import { quoteIdentifier } from '../../model/identifier.ts';
import type { Aggregation, Quota } from '../../sinks/sink.ts';
import { type BinlogRetention, readBinlogRetention } from '../../source/server/binlog-retention.ts';
import { type Query, queryOn } from '../../source/server/query.ts';
import type { BackfillRequest } from '../control.ts';
import { type ColumnTypes, estimateEventBytes, PAGE_BYTES } from './event-size.ts';
import type { BackfillTable } from './resolve-tables.ts';

/** What a backfill will be, from what the server knows without reading a row. All numbers are estimates. */
export interface BackfillEstimate {
  tables: number;
  rows: number;
  /** Bytes of the rows in the source. */
  bytes: number;
  /** Bytes of the events, before compression. */
  eventBytes: number;
  /** Records of the transport. */
  records: number;
  seconds: number;
  /** What decides how long it takes. */
  limit: 'bytes' | 'records' | 'requests' | 'rate' | 'reading';
  /** Bytes that Firehose bills, and what they cost at `usdPerGb`; 0 for other transports. */
  billedBytes: number;
  usd: number;
  usdPerGb: number;
  /** How long the server keeps its binlog. */
  binlog: BinlogRetention;
  warnings: { message: string; why: string; hint: string }[];
  /** The largest tables, by the bytes of their events. */
  largest: TableSize[];
}

interface TableSize {
  schema: string;
  table: string;
  rows: number;
  bytes: number;
  eventBytes: number;
}

/** Firehose bills each record rounded up to the next 5 KB (Amazon Data Firehose pricing, Direct PUT). */
const BILLING_STEP_BYTES = 5 * 1024;
/** Direct PUT in us-east-1, for the first 500 TB of a month. Other regions cost up to a third more. */
const USD_PER_GB = 0.029;
/** What gzip leaves of events of one table, about. */
const GZIP_RATIO = 0.15;
/** Rows a second that one machine reads and encodes, about, where nothing else is slower. */
const READ_ROWS_PER_SECOND = 100_000;
const REQUEST_RECORDS_MAX = 500;
const REQUEST_BYTES_MAX = 4_000_000;
/** Up to this many tables the server is asked for fresh numbers; more would take it too long. */
const FRESH_STATISTICS_TABLES_MAX = 500;
const LARGEST_MAX = 10;
const QUERY_TIMEOUT_MS = 120_000;

/** The estimate of a backfill of these tables. A few queries, however many tables there are. */
export async function estimateBackfill(
  connection: Connection,
  config: Config,
  request: Pick<BackfillRequest, 'where' | 'rate'>,
  tables: readonly BackfillTable[],
  streams: readonly EstimatedStream[],
): Promise<BackfillEstimate> {
  const query = queryOn(connection, QUERY_TIMEOUT_MS);
  const sizes = await readSizes(query, config, tables);
  const [only] = sizes;
  if (request.where !== undefined && only !== undefined) await applyCondition(query, only, request.where);
  const [[lowerCase] = []] = await query('SELECT @@global.lower_case_table_names');
  const destinations = compileDestinations(config, { caseSensitive: Number(lowerCase) === 0 });
  const rate = request.rate ?? config.backfill.rate;
  const binlog = await readBinlogRetention(query);
  return summarize(sizes, {
    streams,
    rate,
    binlog,
    streamOf: ({ schema, table }) => destinations.indexOf(schema, table),
  });
}

/** A destination of the configuration, in their order. */
export interface EstimatedStream {
  aggregation: Aggregation;
  quota: Quota;
  compresses: boolean;
  /** Whether Firehose bills its records. */
  isBilled: boolean;
}

export interface SummaryInput {
  streams: readonly EstimatedStream[];
  rate: number | undefined;
  binlog: BinlogRetention;
  /** The number of the stream that a table goes to. */
  streamOf: (table: TableSize) => number;
}

/** The pure part of the estimate. */
export function summarize(sizes: readonly TableSize[], input: SummaryInput): BackfillEstimate {
  const { streams, rate, binlog, streamOf } = input;
  const perStream = new Map<number, Load>();
  for (const size of sizes) {
    const index = streamOf(size);
    const stream = streams[index] as EstimatedStream;
    const load = perStream.get(index) ?? { stream, bytes: 0, records: 0, billed: 0, requests: 0 };
    perStream.set(index, addLoad(load, size));
  }
  const sum = (part: (size: TableSize) => number): number => sizes.reduce((total, size) => total + part(size), 0);
  const loads = [...perStream.values()];
  const sumOfStreams = (part: Amount): number => loads.reduce((total, load) => total + load[part], 0);
  const rows = sum((size) => size.rows);
  const { seconds, limit } = duration(loads, rows, rate);
  const billedBytes = sumOfStreams('billed');
  return {
    tables: sizes.length,
    rows,
    bytes: sum((size) => size.bytes),
    eventBytes: sum((size) => size.eventBytes),
    records: sumOfStreams('records'),
    seconds,
    limit,
    billedBytes,
    usd: (billedBytes / 1e9) * USD_PER_GB,
    usdPerGb: USD_PER_GB,
    binlog,
    warnings: binlogWarnings(seconds, binlog),
    largest: sizes.toSorted((a, b) => b.eventBytes - a.eventBytes).slice(0, LARGEST_MAX),
  };
}

type Amount = 'bytes' | 'records' | 'requests' | 'billed';

/** What one stream receives. */
interface Load {
  stream: EstimatedStream;
  bytes: number;
  records: number;
  requests: number;
  billed: number;
}

function addLoad(load: Load, { rows, eventBytes }: TableSize): Load {
  if (rows === 0) return load;
  const { aggregation, compresses, isBilled } = load.stream;
  const perEvent = eventBytes / rows;
  const perRecord =
    aggregation === 'off'
      ? 1
      : Math.max(1, Math.min(aggregation.maxEvents, Math.floor(aggregation.maxBytes / perEvent), rows));
  const records = Math.ceil(rows / perRecord);
  const bytes = eventBytes * (compresses ? GZIP_RATIO : 1);
  const recordBytes = bytes / records;
  const billed = isBilled ? records * Math.ceil(recordBytes / BILLING_STEP_BYTES) * BILLING_STEP_BYTES : 0;
  return {
    stream: load.stream,
    bytes: load.bytes + bytes,
    records: load.records + records,
    requests: load.requests + Math.max(records / REQUEST_RECORDS_MAX, bytes / REQUEST_BYTES_MAX),
    billed: load.billed + billed,
  };
}

function duration(
  loads: readonly Load[],
  rows: number,
  rate: number | undefined,
): Pick<BackfillEstimate, 'seconds' | 'limit'> {
  const longest = (part: 'bytes' | 'records' | 'requests'): number =>
    Math.max(0, ...loads.map((load) => load[part] / load.stream.quota[part]));
  const candidates: [BackfillEstimate['limit'], number][] = [
    ['reading', rows / READ_ROWS_PER_SECOND],
    ['bytes', longest('bytes')],
    ['records', longest('records')],
    ['requests', longest('requests')],
    ['rate', rate === undefined ? 0 : rows / rate],
  ];
  const [limit, seconds] = candidates.reduce((slowest, each) => (each[1] > slowest[1] ? each : slowest));
  return { limit, seconds: Math.ceil(seconds) };
}

/** The daemon reads the binlog meanwhile, but an outage of it must be shorter than what the server keeps. */
function binlogWarnings(
  seconds: number,
  { retentionSeconds, variable }: BinlogRetention,
): BackfillEstimate['warnings'] {
  if (retentionSeconds === null || seconds < retentionSeconds) return [];
  const hours = (value: number): string => `${(value / 3600).toFixed(1)} hours`;
  return [
    {
      message: `the server purges its binlog after ${hours(retentionSeconds)}, and the backfill takes about ${hours(seconds)}`,
      why: 'if cdc is stopped for that long before the end, changes are lost and the backfill must begin again',
      hint: `raise ${variable}, or backfill fewer tables at a time`,
    },
  ];
}

/** Rows and bytes of each table as the server estimates them, and the bytes of their events. */
async function readSizes(query: Query, config: Config, tables: readonly BackfillTable[]): Promise<TableSize[]> {
  const schemas = [...new Set(tables.map(({ schema }) => schema))];
  if (schemas.length === 0) return [];
  // MySQL 8 keeps the numbers for a day. Other servers do not know the variable and keep none.
  if (tables.length <= FRESH_STATISTICS_TABLES_MAX) {
    await query('SET SESSION information_schema_stats_expiry = 0').catch(() => {});
  }
  const only = tables.length <= FRESH_STATISTICS_TABLES_MAX ? ' AND TABLE_NAME IN (?)' : '';
  const values = [schemas, [...new Set(tables.map(({ table }) => table))]].slice(0, only === '' ? 1 : 2);
  const statistics = await query(
    `SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS, DATA_LENGTH, AVG_ROW_LENGTH FROM information_schema.TABLES
     WHERE TABLE_SCHEMA IN (?)${only}`,
    values,
  );
  const types = await query(
    `SELECT TABLE_SCHEMA, TABLE_NAME, DATA_TYPE, COUNT(*), SUM(CHAR_LENGTH(COLUMN_NAME)) FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA IN (?)${only} GROUP BY TABLE_SCHEMA, TABLE_NAME, DATA_TYPE`,
    values,
  );
  const columns = new Map<string, ColumnTypes[]>();
  for (const [schema, table, type, count, characters] of types) {
    const key = id(schema, table);
    const known = columns.get(key) ?? [];
    columns.set(key, known);
    known.push({ type: String(type).toLowerCase(), count: Number(count), nameCharacters: Number(characters) });
  }
  const wanted = new Set(tables.map(({ schema, table }) => id(schema, table)));
  return statistics
    .filter(([schema, table]) => wanted.has(id(schema, table)))
    .map(([schema, table, rowCount, length, average]) => {
      const rows = Number(rowCount ?? 0);
      const rowBytes = Number(length ?? 0) > PAGE_BYTES ? Number(average) : undefined;
      const perEvent = estimateEventBytes(config.format, columns.get(id(schema, table)) ?? [], rowBytes);
      return {
        ...{ schema: String(schema), table: String(table), rows },
        bytes: rows === 0 ? 0 : Number(length ?? 0),
        eventBytes: rows * perEvent,
      };
    });
}

const id = (schema: unknown, table: unknown): string => JSON.stringify([schema, table]);

/** Keeps the share of the table that the optimizer expects to match. */
async function applyCondition(query: Query, size: TableSize, where: string): Promise<void> {
  const share = await selectivity(query, size, where).catch(() => 1);
  size.rows = Math.round(size.rows * share);
  size.bytes = Math.round(size.bytes * share);
  size.eventBytes = Math.round(size.eventBytes * share);
}

async function selectivity(query: Query, { schema, table, rows }: TableSize, where: string): Promise<number> {
  const name = `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
  const [plan = []] = await query(`EXPLAIN FORMAT=TRADITIONAL SELECT 1 FROM ${name} WHERE (${where})`);
  // The last columns of the plan are rows, filtered (MySQL 5.7 and later) and Extra.
  const hasFiltered = plan.length >= 12;
  const examined = Number(plan[plan.length - (hasFiltered ? 3 : 2)] ?? rows);
  const filtered = hasFiltered ? Number(plan[plan.length - 2] ?? 100) / 100 : 1;
  return Math.min(1, (examined * filtered) / Math.max(rows, 1));
}
