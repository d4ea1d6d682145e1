import { expect, test } from 'vitest';
import { configPerHost } from '../../../src/config/source-connection.ts';
import { error, transientError, warning } from '../../../src/model/finding.ts';
import { mergeHostFindings } from '../../../src/preflight/preflight.ts';
import { configFrom } from '../config/config-from.ts';

const hosts = configPerHost(configFrom('source: { url: "mysql://cdc@db1,db2:3307" }\nfirehose: { stream: s }'));
const down = transientError('the server at db1:3306 cannot be reached', 'refused', 'start it');
const wrong = error('log_bin is OFF', 'nothing to follow', 'turn it on');
const slight = warning('binlogs are purged after 1 hour', 'short', 'longer');

test('a problem of one host is a warning that names the host while another host is usable', () => {
  expect(mergeHostFindings(hosts, [[down], [slight]])).toEqual([
    warning(down.what, down.why, down.fix),
    { ...slight, what: `db2:3307: ${slight.what}` },
  ]);
  expect(mergeHostFindings(hosts, [[wrong], []])).toMatchObject([
    { severity: 'warning', what: 'db1:3306: log_bin is OFF' },
  ]);
});

test('errors are transient if no host is usable but one can recover, and permanent otherwise', () => {
  expect(mergeHostFindings(hosts, [[down], [wrong]]).map(({ severity, transient }) => [severity, transient])).toEqual([
    ['error', true],
    ['error', true],
  ]);
  expect(
    mergeHostFindings(hosts, [[wrong], [wrong]]).every(({ severity, transient }) => severity === 'error' && !transient),
  ).toBe(true);
});
