import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { DeliveryErrorHandler } from '../../../src/dead-letter/delivery-error-handler.ts';
import { createLog } from '../../../src/runtime/log.ts';
import { seqOf } from './dead-letters.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-handler-'));
afterAll(() => rmSync(directory, { recursive: true }));

const EVENT = Buffer.from(
  `{"op":"u","before":null,"after":{"email":"ada@example.com"},"key":{"email":"ada@example.com"},"seq":"${seqOf(1)}",` +
    '"source":{"connector":"mysql","name":"shop","db":"shop","table":"users","server_id":1,"gtid":null,' +
    '"file":"binlog.000002","pos":1,"row":0,"ts_ms":1,"snapshot":"false"},"ts_ms":1}\n',
);

test('the log names an event by its table, its seq and its file, and never by values of its row', async () => {
  const config = parseConfig('source: { url: "mysql://u@h" }\nfirehose: { stream: s }\n', {
    file: 'cdc.yaml',
    directory,
    env: {},
  });
  const lines: string[] = [];
  const log = createLog('cdc', 'trace', { write: (line: string) => void lines.push(line) });
  const handler = new DeliveryErrorHandler(config, log);
  handler.logRetry({ stream: 's', reason: 'Slow down.', attempts: 1, event: () => EVENT });
  await handler.deadLetter({ stream: 's', event: EVENT, reason: 'refused', attempts: 1 });
  const [retry, moved] = lines.map((line) => JSON.parse(line));
  expect(retry).toMatchObject({ level: 40, oldest: { table: 'shop.users', seq: seqOf(1) } });
  expect(moved).toMatchObject({ level: 40, table: 'shop.users', seq: seqOf(1), why: 'refused' });
  expect(lines.join('')).not.toContain('ada@example.com');
  // The dead letter itself has them.
  expect(existsSync(moved.file)).toBe(true);
  expect(readFileSync(moved.file, 'utf8')).toContain('ada@example.com');
});
