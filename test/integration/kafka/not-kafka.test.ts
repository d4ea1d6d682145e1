import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, inject, test } from 'vitest';
import { kafka } from '../../../src/config/kafka-schema.ts';
import { checkKafka } from '../../../src/sinks/kafka/preflight.ts';

const findings = (port: number | string, keys: object = {}) =>
  checkKafka(kafka.parse({ brokers: [`127.0.0.1:${port}`], ...keys }), 'cdc', Promise.resolve([]));
const sasl = { mechanism: 'plain', username: 'cdc', password: 'secret' };

test.each([
  ['plain', {}, 'not Kafka'],
  ['SASL', { sasl }, 'not Kafka'],
  ['TLS', { tls: true }, 'has no TLS'],
])('MySQL and a web server are no brokers, and the check says so: %s', async (_, keys, text) => {
  const web = createServer((_request, response) => response.end());
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  try {
    const finding = { severity: 'error', fix: expect.stringContaining(text) };
    expect(await findings(new URL(inject('mysqlUrl')).port, keys)).toMatchObject([finding]);
    expect(await findings((web.address() as AddressInfo).port, keys)).toMatchObject([finding]);
  } finally {
    web.close();
  }
});
