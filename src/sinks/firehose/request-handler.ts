import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { certificatesProblem } from '../../runtime/certificates.ts';
import { CdcError } from '../../runtime/error.ts';

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
 * each host. The SDK itself reads neither these variables nor AWS_CA_BUNDLE.
 * @param isLocal the endpoint is on this machine, where no proxy stands in between
 * @throws CdcError with exit code 2 if a variable cannot be used
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

const PROXY_VARIABLES = ['https_proxy', 'http_proxy', 'all_proxy'];

/** @throws CdcError if a variable names something else than a proxy */
function namesProxy(env: NodeJS.ProcessEnv): boolean {
  const names = PROXY_VARIABLES.flatMap((name) => [name, name.toUpperCase()]).filter((name) => env[name]);
  for (const name of names) {
    const value = env[name] as string;
    const url = URL.canParse(withScheme(value)) ? new URL(withScheme(value)) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
      throw new CdcError(`the environment variable ${name} names no HTTP proxy`, {
        exitCode: 2,
        hint: 'use http://[user:password@]host:port, with / ? # @ : % in the password percent-encoded',
      });
    }
  }
  return names.length > 0;
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
    const selected = getProxyForUrl(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`);
    if (selected === '') return direct;
    // The library gives a proxy without a scheme that of the request.
    const isAsSet = Object.values(env).includes(selected);
    const proxy = isAsSet ? selected : withScheme(selected.replace(/^\w+:\/\//, ''));
    const known = proxied.get(proxy);
    if (known !== undefined) return known;
    // It asks for a tunnel (CONNECT) to each host, HTTP included.
    const tunnel = new HttpsProxyAgent(proxy, agent);
    // Its own options are for the connection to the proxy. These are for TLS with the host behind it.
    Object.assign(tunnel.options, agent.ca && { ca: agent.ca });
    const handler = new NodeHttpHandler({
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      httpAgent: tunnel,
      httpsAgent: tunnel,
    });
    proxied.set(proxy, handler);
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
