import { afterEach, expect, test, vi } from 'vitest';
import { mskRegion, mskToken } from '../../../../src/sinks/kafka/msk-token.ts';

afterEach(() => vi.unstubAllEnvs());

test('a token is the signed URL that AWS documents, in base64url without padding', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY');
  vi.stubEnv('AWS_SESSION_TOKEN', 'a+b/c=');
  const token = await mskToken('eu-west-1', new Date('2026-01-02T03:04:05Z'));
  expect(token).toMatch(/^[\w-]+$/);
  const url = new URL(Buffer.from(token, 'base64url').toString());
  expect(url.origin).toBe('https://kafka.eu-west-1.amazonaws.com');
  expect(Object.fromEntries(url.searchParams)).toEqual({
    Action: 'kafka-cluster:Connect',
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': 'AKIDEXAMPLE/20260102/eu-west-1/kafka-cluster/aws4_request',
    'X-Amz-Date': '20260102T030405Z',
    'X-Amz-Expires': '900',
    'X-Amz-Security-Token': 'a+b/c=',
    'X-Amz-SignedHeaders': 'host',
    'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
    'User-Agent': 'cdc',
  });
});

test('the region is that of a broker of MSK', () => {
  expect(mskRegion(['b-1.shop.abc.c2.kafka.eu-west-1.amazonaws.com:9098'])).toBe('eu-west-1');
  expect(mskRegion(['boot-1.kafka-serverless.us-east-2.amazonaws.com:9098'])).toBe('us-east-2');
  expect(mskRegion(['localhost:9092'])).toBeUndefined();
});
