import type { Config } from '../../../src/config/schema.ts';
import { parseTablePattern } from '../../../src/model/table-filter.ts';
import type { PatternFacts, PreflightFacts } from '../../../src/preflight/gather-server.ts';
import type { TableFacts } from '../../../src/preflight/gather-tables.ts';
import { configFrom } from '../config/config-from.ts';

/** The facts of a correctly configured MySQL 9.7, with the changes of the test. */
export const soundServer = (changes: Partial<PreflightFacts> = {}): PreflightFacts => ({
  flavor: 'mysql',
  version: [9, 7, 4],
  account: "'cdc'@'%'",
  variables: {
    binlog_expire_logs_seconds: '2592000',
    binlog_format: 'ROW',
    binlog_row_image: 'FULL',
    binlog_row_metadata: 'FULL',
    binlog_row_value_options: '',
    gtid_mode: 'ON',
    log_bin: 'ON',
    lower_case_table_names: '0',
    server_id: '7',
  },
  canReplicate: true,
  canReadBinlogStatus: true,
  binlogSchemas: { only: [], ignored: [] },
  replicas: [],
  patterns: [pattern('shop.*')],
  tables: [table('orders')],
  ...changes,
});

export const soundMariadb = (changes: Partial<PreflightFacts['variables']> = {}): PreflightFacts =>
  soundServer({
    flavor: 'mariadb',
    version: [10, 11, 18],
    variables: {
      binlog_expire_logs_seconds: '0',
      expire_logs_days: '0.000000',
      binlog_format: 'ROW',
      binlog_row_image: 'FULL',
      binlog_row_metadata: 'FULL',
      log_bin: 'ON',
      lower_case_table_names: '0',
      server_id: '7',
      ...changes,
    },
  });

export const withVariables = (changes: Partial<PreflightFacts['variables']>): PreflightFacts =>
  soundServer({ variables: { ...soundServer().variables, ...changes } });

export const table = (name: string, changes: Partial<TableFacts> = {}): TableFacts => ({
  schema: 'shop',
  name,
  columns: ['id', 'total'],
  primaryKey: ['id'],
  uncertainLabels: [],
  cascades: [],
  ...changes,
});

export const pattern = (text: string, changes: Partial<PatternFacts> = {}): PatternFacts => ({
  pattern: parseTablePattern(text),
  matches: 1,
  canSelectAll: true,
  unreadableTables: [],
  ...changes,
});

export const config = (more = '', source = ''): Config =>
  configFrom(`source: { url: "mysql://cdc@127.0.0.1"${source} }\nfirehose: { stream: s }\n${more}`);
