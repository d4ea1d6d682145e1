import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateSecretCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { freePort } from '../../src/runtime/free-port.ts';
import { fetchSecret } from '../../src/secrets/secrets-manager.ts';
import { PYTHON } from './python.ts';

const REGION = 'eu-west-1';
const STARTS_WITHIN_MS = 60_000;

/**
 * Reads secrets from the Secrets Manager of moto, which the tests of cdc did not write: by name and by ARN, before and
 * after a rotation, and one that does not exist.
 */
export async function checkMoto(): Promise<void> {
  const port = await freePort();
  const moto = spawn(PYTHON, ['-m', 'moto.server', '-p', `${port}`], { stdio: 'ignore' });
  try {
    const endpoint = `http://127.0.0.1:${port}`;
    const until = Date.now() + STARTS_WITHIN_MS;
    while (!(await fetch(endpoint).catch(() => undefined))) {
      if (Date.now() > until) throw new Error('moto does not start');
      await sleep(100);
    }
    const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
    const client = new SecretsManagerClient({ endpoint, region: REGION, credentials });
    const secret = (password: string): string => JSON.stringify({ username: 'cdc', password });
    const { ARN = '' } = await client.send(new CreateSecretCommand({ Name: 'prod/cdc', SecretString: secret('one') }));
    const at = { id: 'prod/cdc', key: 'password', region: REGION, endpoint };
    const read = async (more: object): Promise<string> =>
      JSON.stringify(await fetchSecret({ ...at, ...more }, 'source'));
    const found = [await read({}), await read({ id: ARN, region: undefined })];
    await client.send(new PutSecretValueCommand({ SecretId: 'prod/cdc', SecretString: secret('two') }));
    found.push(await read({ user_key: 'username' }));
    found.push(await read({ id: 'no-such' }).catch(({ message, kind }) => `${kind}: ${message}`));
    const expected = [
      '{"password":"one"}',
      '{"password":"one"}',
      '{"password":"two","user":"cdc"}',
      'fatal: there is no secret no-such',
    ];
    if (found.join('\n') !== expected.join('\n')) throw new Error(`moto has other secrets:\n${found.join('\n')}`);
  } finally {
    moto.kill();
  }
}
