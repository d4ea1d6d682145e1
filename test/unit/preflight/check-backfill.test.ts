import { expect, test } from 'vitest';
import { checkBackfillServer } from '../../../src/preflight/check-backfill.ts';
import { configFrom } from '../config/config-from.ts';

const findings = (flavor: 'mysql' | 'mariadb', gtidMode: string | undefined, yaml: string) =>
  checkBackfillServer(
    { flavor, version: [9, 7, 0], variables: gtidMode === undefined ? {} : { gtid_mode: gtidMode } },
    configFrom(`source: { url: "mysql://u@127.0.0.1", ${yaml}\nfirehose: { stream: s }`),
  );

test('a start with a snapshot on a MySQL without GTIDs is a warning, unless a heartbeat table is named', () => {
  expect(findings('mysql', 'OFF_PERMISSIVE', 'start: snapshot }')).toMatchObject([
    {
      severity: 'warning',
      why: expect.stringContaining('OFF_PERMISSIVE'),
      fix: expect.stringContaining('heartbeat_table'),
    },
  ]);
  expect(findings('mysql', undefined, 'start: snapshot }')).toHaveLength(1);
  expect(findings('mysql', 'ON', 'start: snapshot }')).toEqual([]);
  expect(findings('mariadb', undefined, 'start: snapshot }')).toEqual([]);
  expect(findings('mysql', 'OFF', 'start: now }')).toEqual([]);
  const heartbeat = 'start: snapshot }\nbackfill: { heartbeat_table: shop.heartbeat }';
  expect(findings('mysql', 'OFF', heartbeat)).toEqual([]);
});
