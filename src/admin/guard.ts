import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { CallError } from './call-error.ts';

/** Who may use a port. On the Unix socket the mode of the file decides instead. */
export interface PortGuard {
  /** The host of `admin.listen`, and `admin.hosts`. */
  hosts: readonly string[];
  /** `admin.token`. */
  token?: string | undefined;
}

/**
 * Refuses what a hostile page in the browser of an operator could send: requests under the name of another host (DNS
 * rebinding) and from another origin. What changes something needs the token, too.
 * @throws CallError
 */
export function assertAllowed(request: IncomingMessage, { hosts, token }: PortGuard): void {
  const { host, origin } = request.headers;
  const name = host === undefined ? undefined : hostName(host);
  if (name === undefined || !isOwnName(name, request, hosts)) {
    throw new CallError(403, 'this daemon is not called by that name', {
      why: 'the Host of the request is neither the address of admin.listen nor localhost',
      hint: 'use http://127.0.0.1 and the port; a name of your own belongs into admin.hosts',
    });
  }
  if (origin !== undefined && originHost(origin) !== host?.toLowerCase()) {
    throw new CallError(403, 'the request comes from another origin', {
      why: 'a page of another site must not read or change anything here',
      hint: 'open the dashboard of this daemon; scripts send no Origin',
    });
  }
  if (request.method === 'GET' || request.method === 'HEAD') return;
  if (token === undefined) {
    throw new CallError(403, 'this port only shows, and changes nothing', {
      why: 'admin.token is not configured',
      hint: 'set admin.token or admin.token_file, or use the Unix socket, as cdc backfill does',
    });
  }
  if (!isToken(request.headers.authorization, token)) {
    throw new CallError(
      401,
      'the token is missing or wrong',
      { hint: 'send the header Authorization: Bearer and the token of admin.token' },
      { 'WWW-Authenticate': 'Bearer' },
    );
  }
}

/** The name or address of a Host header, in lower case and without brackets; undefined if it is no host. */
function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(host);
  return (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '');
}

/** An address cannot be rebound: it is right if the connection came to it. */
function isOwnName(name: string, { socket }: IncomingMessage, hosts: readonly string[]): boolean {
  if (name === 'localhost' || name === '127.0.0.1' || name === '::1') return true;
  const local = socket.localAddress?.replace(/^::ffff:/, '').replace(/%.*$/, '');
  return name === local || hosts.some((host) => host.toLowerCase() === name);
}

/** The host and port of an origin; undefined for `null` and what is no origin. */
function originHost(origin: string): string | undefined {
  return /^https?:\/\/([^/\s]+)$/i.exec(origin)?.[1]?.toLowerCase();
}

/** In a time that does not depend on how much of it is right. */
function isToken(header: string | undefined, token: string): boolean {
  const sent = /^Bearer +([\x21-\x7e]+) *$/i.exec(header ?? '')?.[1];
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return sent !== undefined && timingSafeEqual(digest(sent), digest(token));
}
