import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { HttpsProxyAgent } from 'https-proxy-agent';
import { abortable } from '../runtime/abort.ts';
import { certificatesProblem } from '../runtime/certificates.ts';
import { CdcError } from '../runtime/error.ts';
import type { AwsFailure } from './aws-failure.ts';

const CONNECTION_TIMEOUT_MS = 3_000;
const SOCKETS_MAX = 32;

type HandlerRequest = Parameters<NodeHttpHandler['handle']>[0];
type ProxyingHandler = Pick<
  NodeHttpHandler,
  'metadata' | 'handle' | 'updateHttpClientConfig' | 'httpHandlerConfigs' | 'destroy'
>;

interface AgentOptions {
  keepAlive: true;
  maxSockets: number;
  ca?: string[];
}

/**
 * The way to Firehose, STS and SSO: direct, or through the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY select for
 * each host. The SDK itself reads neither these variables nor AWS_CA_BUNDLE. A request whose variable names no proxy
 * fails with a CdcError; other requests do not need that variable.
 * @param isLocal the endpoint is on this machine, where no proxy stands in between
 * @throws CdcError with exit code 2 if AWS_CA_BUNDLE cannot be used
 */
export function requestHandler(isLocal: boolean, env: NodeJS.ProcessEnv = process.env): ProxyingHandler {
  const ca = authorities(env);
  const agent: AgentOptions = { keepAlive: true, maxSockets: SOCKETS_MAX, ...(ca && { ca }) };
  const direct = new NodeHttpHandler({
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    httpAgent: { keepAlive: true, maxSockets: SOCKETS_MAX },
    httpsAgent: agent,
  });
  return isLocal || !namesProxy(env) ? direct : throughProxies(direct, agent, env);
}

const namesProxy = (env: NodeJS.ProcessEnv): boolean =>
  ['https', 'http'].some((scheme) => proxyVariable(scheme, env) !== undefined);

/** The variable that names the proxy for a scheme: the first that is set, in the order of proxy-from-env. */
const proxyVariable = (scheme: string, env: NodeJS.ProcessEnv): string | undefined =>
  [`${scheme}_proxy`, 'all_proxy'].flatMap((name) => [name, name.toUpperCase()]).find((name) => env[name]);

/** @throws CdcError if the variable names something else than a proxy */
function proxyIn(variable: string, env: NodeJS.ProcessEnv): URL {
  const value = withScheme(env[variable] ?? '');
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw new CdcError(`the environment variable ${variable} names no HTTP proxy`, {
      exitCode: 2,
      hint: 'use http://[user:password@]host:port, with / ? # @ : % in the password percent-encoded',
    });
  }
  return url;
}

/** `proxy:3128` is an HTTP proxy, as for curl. */
const withScheme = (proxy: string): string => (proxy.includes('://') ? proxy : `http://${proxy}`);

/** A handler whose requests go through a proxy where one is set for their host. Loads the libraries at the first. */
function throughProxies(direct: NodeHttpHandler, agent: AgentOptions, env: NodeJS.ProcessEnv): ProxyingHandler {
  const proxied = new Map<string, NodeHttpHandler>();
  const handlerFor = async ({ protocol, hostname, port }: HandlerRequest): Promise<NodeHttpHandler> => {
    const [{ HttpsProxyAgent }, { getProxyForUrl }] = await Promise.all([
      import('https-proxy-agent'),
      import('proxy-from-env'),
    ]);
    // The library knows NO_PROXY. It gives a proxy without a scheme that of the request, so its answer is not used.
    const isProxied = getProxyForUrl(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`) !== '';
    const variable = proxyVariable(protocol.replace(/:$/, ''), env);
    if (!isProxied || variable === undefined) return direct;
    const known = proxied.get(variable);
    if (known !== undefined) return known;
    const proxy = proxyIn(variable, env);
    // It asks for a tunnel (CONNECT) to each host, HTTP included.
    const tunnel = new HttpsProxyAgent(proxy, agent);
    nameProxyInErrors(tunnel, proxy, variable);
    // Its own options are for the connection to the proxy. These are for TLS with the host behind it.
    Object.assign(tunnel.options, agent.ca && { ca: agent.ca });
    const handler = new NodeHttpHandler({ httpAgent: tunnel, httpsAgent: tunnel });
    proxied.set(variable, handler);
    return handler;
  };
  return {
    metadata: direct.metadata,
    handle: async (request, options) => (await handlerFor(request)).handle(request, options),
    updateHttpClientConfig: (key, value) => direct.updateHttpClientConfig(key, value),
    httpHandlerConfigs: () => direct.httpHandlerConfigs(),
    destroy() {
      for (const handler of [direct, ...proxied.values()]) handler.destroy();
    },
  };
}

/** The handler of the SDK makes a TimeoutError of this code. */
const NO_TUNNEL: AwsFailure = { code: 'ETIMEDOUT', message: `no tunnel within ${CONNECTION_TIMEOUT_MS} ms` };

/** Errors before the tunnel is there are the proxy's. What fails later, such as TLS, concerns the host behind it. */
function nameProxyInErrors(tunnel: HttpsProxyAgent<string>, proxy: URL, variable: string): void {
  const { hostname, port, protocol } = proxy;
  const address = `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
  const connect = tunnel.connect.bind(tunnel);
  tunnel.connect = async (request, options) => {
    const attempt = connect(request, options);
    const timeout = AbortSignal.timeout(CONNECTION_TIMEOUT_MS);
    try {
      return await abortable(attempt, timeout);
    } catch (error) {
      attempt.then(
        (late) => late.destroy(),
        () => {},
      );
      const { message, code } = timeout.aborted ? NO_TUNNEL : (error as AwsFailure);
      const failure = new Error(`proxy ${address}: ${message || code}`, { cause: error });
      throw Object.assign(failure, { ...(code && { code }), proxy: { address, variable } } satisfies AwsFailure);
    }
  };
}

/** The authorities of AWS_CA_BUNDLE beside those that Node trusts; undefined without the variable. */
function authorities(env: NodeJS.ProcessEnv): string[] | undefined {
  const file = env.AWS_CA_BUNDLE;
  if (!file) return undefined;
  const text = readBundle(file);
  const problem = text instanceof Error ? text.message : certificatesProblem(text);
  if (problem !== undefined) {
    throw new CdcError(`cannot use the authorities in AWS_CA_BUNDLE ${file}`, {
      exitCode: 2,
      why: problem,
      hint: 'name a PEM file, or unset the variable',
    });
  }
  // Node adds NODE_EXTRA_CA_CERTS to its own list only.
  const extra = env.NODE_EXTRA_CA_CERTS ? readBundle(env.NODE_EXTRA_CA_CERTS) : '';
  return [...rootCertificates, ...[text, extra].filter((pem) => typeof pem === 'string' && pem !== '')] as string[];
}

function readBundle(file: string): string | Error {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return error as Error;
  }
}
