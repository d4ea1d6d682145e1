import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { preflight } from '../../src/preflight/preflight.ts';
import { FirehoseSink } from '../../src/sinks/firehose/firehose-sink.ts';
import { AwsFront } from './aws-front.ts';
import { Fixture, startCdcWith } from './pipeline-fixture.ts';

/** The way to AWS through a proxy of the network, with the authority of the network. */

const CERTIFICATE = resolve('test/integration/tls/certificate.pem');
const HOST = 'firehose.eu-west-1.amazonaws.com';
const tls = { cert: readFileSync(CERTIFICATE), key: readFileSync('test/integration/tls/key.pem') };

const NO_VARIABLES = Object.fromEntries(
  ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY', 'https_proxy', 'http_proxy', 'all_proxy', 'no_proxy']
    .concat(['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS', 'AWS_PROFILE', 'AWS_SESSION_TOKEN'])
    .map((name) => [name, undefined]),
);
/** AWS Security Token Service answers in XML. */
const DENIED = {
  status: 403,
  type: 'text/xml',
  body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error>
<RequestId>1</RequestId></ErrorResponse>`,
};
const KEYS = { AWS_ACCESS_KEY_ID: 'AKIAPROXIED', AWS_SECRET_ACCESS_KEY: 's' };

let fixture: Fixture;
let front: AwsFront;
let proxy: Server;
let proxyUrl: string;
/** What the proxy was asked for. */
let tunnels: string[];
/** The status that the proxy answers instead, for each host. */
let refuse: (host: string) => number | undefined;
const sockets = new Set<Socket>();

beforeEach(async () => {
  fixture = new Fixture(inject('mysqlUrl'), `proxy_${process.pid}`);
  await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
  front = new AwsFront((await fixture.startFirehose()).endpoint, tls);
  await front.listen();
  tunnels = [];
  refuse = () => undefined;
  proxy = createServer().on('connect', (request, socket: Socket) => {
    sockets.add(socket);
    tunnels.push(String(request.url));
    const status = refuse(String(request.url).replace(/:\d+$/, ''));
    if (status !== undefined) {
      const page = '<html><body>secret-page</body></html>';
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\n\r\n${page}`);
      return;
    }
    const target = connect(front.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    sockets.add(target);
    for (const end of [socket, target]) end.on('error', () => {});
    // A pipe does not pass on that its source was destroyed.
    socket.on('close', () => target.destroy());
  });
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
  proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  configure();
  fixture.env = { ...NO_VARIABLES, ...KEYS, HTTPS_PROXY: proxyUrl, AWS_CA_BUNDLE: CERTIFICATE };
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise((done) => proxy.close(done));
  await front.close();
  await fixture.remove();
});

const yaml = (endpoint = ''): string => `name: shop
source: { url: "${fixture.url}" }
tables: ["${fixture.schema}.*"]
firehose: { stream: changes, region: eu-west-1, linger: 20ms${endpoint} }
`;
const configure = (endpoint = ''): void => writeFileSync(join(fixture.directory, 'cdc.yaml'), yaml(endpoint));

const check = () =>
  preflight(
    parseConfig(yaml(), { file: 'cdc.yaml', directory: fixture.directory, env: {} }),
    new AbortController().signal,
  );

function stubEnv(env: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
}

/** The variables of a role whose credentials STS gives for the token. */
function roleOf(token: string): Record<string, string | undefined> {
  const file = join(fixture.directory, 'token');
  writeFileSync(file, token);
  return {
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/cdc',
    AWS_ACCESS_KEY_ID: undefined,
    AWS_SECRET_ACCESS_KEY: undefined,
    AWS_CONFIG_FILE: '/nonexistent/config',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent/credentials',
  };
}

test('HTTPS_PROXY and AWS_CA_BUNDLE lead cdc run to AWS', async () => {
  const daemon = await fixture.run();
  await fixture.delivered();
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toMatchObject({ code: 0 });
  expect(new Set(tunnels)).toEqual(new Set([`${HOST}:443`]));
  expect(front.calls.map(({ operation }) => operation)).toEqual(
    expect.arrayContaining(['DescribeDeliveryStream', 'PutRecordBatch']),
  );
});

test.each([
  ['with AWS_CA_BUNDLE', { AWS_CA_BUNDLE: CERTIFICATE }],
  ['with NODE_EXTRA_CA_CERTS', { NODE_EXTRA_CA_CERTS: CERTIFICATE, AWS_CA_BUNDLE: undefined }],
  ['by a proxy without a scheme', { HTTPS_PROXY: undefined, https_proxy: 'HOST_AND_PORT' }],
])('cdc check finds the stream %s', async (_, changes) => {
  const env = JSON.parse(JSON.stringify({ ...fixture.env, ...changes }).replace('HOST_AND_PORT', proxyUrl.slice(7)));
  const { code, stdout, stderr } = await startCdcWith({ ...NO_VARIABLES, ...env }, fixture.directory, 'check').ended;
  expect({ code, stdout, stderr }).toMatchObject({ code: 0, stderr: '' });
  expect(tunnels).toEqual([`${HOST}:443`]);
});

test('without the authority the certificate is the reason', async () => {
  stubEnv({ ...fixture.env, AWS_CA_BUNDLE: undefined });
  const [finding] = await check();
  expect(finding).toMatchObject({ severity: 'error', fix: expect.stringContaining('AWS_CA_BUNDLE') });
  expect(finding?.why).toMatch(/self-signed certificate/);
});

test('NO_PROXY names hosts that are reached directly, and an endpoint on this machine is one', async () => {
  const endpoint = fixture.firehose?.endpoint ?? '';
  const other = endpoint.replace('127.0.0.1', '0.0.0.0');
  const cases = [
    [endpoint, undefined, 0],
    [other, '0.0.0.0', 0],
    [other, 'elsewhere', 1],
  ] as const;
  for (const [target, noProxy, expected] of cases) {
    stubEnv({ ...NO_VARIABLES, ...KEYS, HTTP_PROXY: proxyUrl, NO_PROXY: noProxy });
    tunnels = [];
    refuse = () => 502;
    const sink = new FirehoseSink({ stream: 'changes', region: 'eu-west-1', endpoint: target });
    const [outcome] = await sink.send([{ buffers: [Buffer.from('{}\n')] }], new AbortController().signal);
    sink.close();
    expect([target, noProxy, tunnels.length]).toEqual([target, noProxy, expected]);
    expect(outcome?.kind).toBe(expected === 0 ? 'accepted' : 'unknown');
  }
});

test('a proxy that cannot be used is refused only where it would be used', async () => {
  const other = (fixture.firehose?.endpoint ?? '').replace('127.0.0.1', '0.0.0.0');
  const outcomeWith = async (variables: Record<string, string>, endpoint?: string) => {
    stubEnv({ ...fixture.env, HTTPS_PROXY: undefined, ...variables });
    const sink = new FirehoseSink({ stream: 'changes', region: 'eu-west-1', endpoint });
    const sent = sink.send([{ buffers: [Buffer.from('{}\n')] }], new AbortController().signal);
    return (await sent.finally(() => sink.close()))[0];
  };
  const ALL_PROXY = 'socks5h://127.0.0.1:1';
  expect(await outcomeWith({ ALL_PROXY, HTTPS_PROXY: proxyUrl })).toEqual({ kind: 'accepted' });
  expect(await outcomeWith({ HTTP_PROXY: ALL_PROXY, HTTPS_PROXY: proxyUrl })).toEqual({ kind: 'accepted' });
  expect(tunnels).toEqual([`${HOST}:443`, `${HOST}:443`]);
  expect(await outcomeWith({ ALL_PROXY, NO_PROXY: '*' }, other)).toEqual({ kind: 'accepted' });
  const refused = { message: 'the environment variable ALL_PROXY names no HTTP proxy', exitCode: 2 };
  await expect(outcomeWith({ ALL_PROXY })).rejects.toMatchObject(refused);
  await expect(outcomeWith({ ALL_PROXY }, other)).rejects.toMatchObject(refused);
});

test('a proxy that is needed for STS only, and cannot be used, ends the check with 2', async () => {
  stubEnv({ ...fixture.env, ...roleOf('secret-token'), HTTPS_PROXY: 'socks5://127.0.0.1:1', NO_PROXY: HOST });
  await expect(check()).rejects.toMatchObject({ message: expect.stringMatching(/HTTPS_PROXY/), exitCode: 2 });
});

describe('a proxy that gives no connection', () => {
  /** A port that refuses connections. */
  let closed: number;

  beforeEach(async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    closed = (server.address() as AddressInfo).port;
    await new Promise((done) => server.close(done));
  });

  test.each([
    ['HTTPS_PROXY', 'the calls to Firehose', false],
    ['all_proxy', 'the calls to STS', true],
  ])('is named, with %s, for %s, without its password', async (variable, _, needsSts) => {
    const url = `http://user:secret@127.0.0.1:${closed}`;
    stubEnv({ ...fixture.env, HTTPS_PROXY: undefined, [variable]: url, ...(needsSts && roleOf('secret-token')) });
    const findings = await check();
    expect(findings).toMatchObject([
      {
        severity: 'error',
        transient: true,
        what: `the proxy 127.0.0.1:${closed} gives no connection`,
        why: expect.stringContaining('ECONNREFUSED'),
        fix: expect.stringContaining(variable),
      },
    ]);
    const sink = new FirehoseSink({ stream: 'changes', region: 'eu-west-1', endpoint: undefined });
    const [outcome] = await sink.send([{ buffers: [Buffer.from('{}\n')] }], new AbortController().signal);
    sink.close();
    expect(outcome).toMatchObject({ reason: expect.stringContaining(`proxy 127.0.0.1:${closed}: `) });
    expect(JSON.stringify([findings, outcome])).not.toMatch(/secret|firehose.region|Firehose in/);
  });

  test('is named if it does not answer', async () => {
    proxy.removeAllListeners('connect').on('connect', (_, socket: Socket) => sockets.add(socket));
    stubEnv(fixture.env);
    const [finding] = await check();
    expect(finding).toMatchObject({
      transient: true,
      what: `the proxy ${proxyUrl.slice(7)} gives no connection`,
      fix: expect.stringContaining('HTTPS_PROXY'),
    });
  });
});

describe('what the proxy answers', () => {
  test.each([403, 407, 429, 502])('%s is reported by its status, and waited for', async (status) => {
    stubEnv(fixture.env);
    refuse = () => status;
    const findings = await check();
    expect(findings).toMatchObject([{ severity: 'error', transient: true }]);
    const sink = new FirehoseSink({ stream: 'changes', region: 'eu-west-1', endpoint: undefined });
    const [outcome] = await sink.send([{ buffers: [Buffer.from('{}\n')] }], new AbortController().signal);
    sink.close();
    expect(outcome).toMatchObject({ kind: 'unknown', reason: expect.stringContaining(`HTTP ${status}`) });
    expect(findings[0]?.why).toContain(`HTTP ${status}`);
    expect(JSON.stringify([findings, outcome])).not.toMatch(/Unexpected token|secret-page/);
  });

  test.each([
    ['that cannot be reached is waited for', 403, undefined, /the service that gives the AWS credentials/, true],
    ['that denies the role ends the start', undefined, DENIED, /AWS does not give the credentials/, undefined],
  ])('an STS %s, and is not blamed on Firehose', async (_, status, answer, expected, transient) => {
    stubEnv({ ...fixture.env, ...roleOf('secret-token') });
    refuse = (host) => (host.startsWith('sts.') ? status : undefined);
    front.answer = () => answer;
    const [finding] = await check();
    expect(finding).toMatchObject({ severity: 'error', what: expect.stringMatching(expected) });
    expect(finding?.transient).toBe(transient);
    expect(JSON.stringify(finding)).not.toMatch(/Firehose|secret/);
    expect(new Set(tunnels)).toEqual(new Set(['sts.eu-west-1.amazonaws.com:443']));
  });
});

test.each([
  ['HTTPS_PROXY', 'socks5://127.0.0.1:1', /HTTPS_PROXY names no HTTP proxy/],
  ['https_proxy', 'socks5h://127.0.0.1:1', /https_proxy names no HTTP proxy/],
  ['AWS_CA_BUNDLE', '/nonexistent/ca.pem', /AWS_CA_BUNDLE \/nonexistent\/ca.pem/],
  ['AWS_CA_BUNDLE', resolve('package.json'), /holds no PEM certificate/],
])('a variable %s of %s ends the start with 2', async (name, value, expected) => {
  const { code, stderr } = await startCdcWith({ ...fixture.env, [name]: value }, fixture.directory, 'run').ended;
  expect(code).toBe(2);
  expect(stderr).toMatch(expected);
});
