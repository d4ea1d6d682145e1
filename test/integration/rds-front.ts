import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Certificate } from './tls/authority.ts';

const CLIENT_CONNECT_WITH_DB = 0x8;
const CLIENT_SSL = 0x800;
const CLIENT_PLUGIN_AUTH = 0x80000;
const CLIENT_CONNECT_ATTRS = 0x100000;

/** Who may sign a token, and for what. */
export interface TokenRule {
  accessKeyId: string;
  secretAccessKey: string;
  /** What RDS names the endpoint. */
  host: string;
  port: number;
  user: string;
  region: string;
}

/** One attempt to log in. */
interface Login {
  user: string;
  /** What came as the password, or undefined if the client gave none. */
  token: string | undefined;
  encrypted: boolean;
  /** Why RDS would refuse it. */
  problem: string | undefined;
}

/**
 * A MySQL server with the IAM authentication of RDS. It asks for TLS and for the plugin mysql_clear_password, and it
 * checks the signature of the token as AWS does. Then it relays to a real server, where it is root without a password.
 */
export class RdsFront {
  readonly logins: Login[] = [];
  /** Bytes that clients have sent outside of TLS, after the request for TLS. */
  clearText = '';
  rule: TokenRule;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: number, certificate: Certificate, rule: TokenRule) {
    this.rule = rule;
    const tls = { cert: readFileSync(certificate.cert), key: readFileSync(certificate.key), isServer: true };
    this.#server = createServer((near) => {
      const far = connect(target, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => {}).on('close', () => (socket === near ? far : near).destroy());
      }
      this.#handshake(near, far, tls).catch(() => near.destroy());
    });
  }

  static async listen(target: number, certificate: Certificate, rule: TokenRule): Promise<RdsFront> {
    const front = new RdsFront(target, certificate, rule);
    front.#server.listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends every connection, as a failover does. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  async #handshake(near: Socket, far: Socket, tls: object): Promise<void> {
    const greeting = await readPacket(far);
    near.write(packet(0, withSsl(greeting)));
    const request = await readPacket(near);
    // A request for TLS has 32 bytes, and no user.
    if (!(request.readUInt32LE(0) & CLIENT_SSL) || request.length > 32) {
      this.clearText += request.toString('latin1', 32);
      near.end(packet(2, failure(3159, 'HY000', 'Connections using insecure transport are prohibited')));
      return;
    }
    const secure = new TLSSocket(near, tls);
    secure.on('error', () => near.destroy());
    const response = await readPacket(secure);
    const user = response.toString('utf8', 32, response.indexOf(0, 32));
    secure.write(
      packet(3, Buffer.concat([Buffer.from([0xfe]), Buffer.from('mysql_clear_password\0'), Buffer.alloc(21)])),
    );
    const token = (await readPacket(secure)).toString('utf8').replace(/\0$/, '');
    const problem = this.#problemOf(token, user);
    this.logins.push({ user, token, encrypted: true, problem });
    if (problem !== undefined) {
      secure.end(
        packet(5, failure(1045, '28000', `Access denied for user '${user}'@'localhost' (using password: YES)`)),
      );
      return;
    }
    far.write(packet(1, asRoot(response, greeting)));
    const answer = await readPacket(far);
    if (answer[0] !== 0) throw new Error('the server behind the front refuses root');
    secure.write(packet(5, answer));
    secure.pipe(far);
    far.pipe(secure);
  }

  /** As AWS verifies a presigned URL (Signature Version 4, "Authenticating requests: using query parameters"). */
  #problemOf(token: string, user: string): string | undefined {
    const { accessKeyId, secretAccessKey, host, port, user: allowed, region } = this.rule;
    if (user !== allowed) return `user ${user}`;
    if (!URL.canParse(`https://${token}`)) return 'no URL';
    const url = new URL(`https://${token}`);
    const query = url.searchParams;
    const date = query.get('X-Amz-Date') ?? '';
    const scope = `${date.slice(0, 8)}/${region}/rds-db/aws4_request`;
    if (url.host !== `${host}:${port}`) return `a token for ${url.host}`;
    if (query.get('Action') !== 'connect' || query.get('DBUser') !== user) return 'another action or user';
    if (query.get('X-Amz-Credential') !== `${accessKeyId}/${scope}`)
      return `signed as ${query.get('X-Amz-Credential')}`;
    const signedAt = Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
    if (!(Math.abs(Date.now() - signedAt) < 900_000) || query.get('X-Amz-Expires') !== '900') return 'expired';
    const signature = query.get('X-Amz-Signature') ?? '';
    query.delete('X-Amz-Signature');
    const encode = (text: string): string =>
      encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
    const pairs = [...query].map(([name, value]) => `${encode(name)}=${encode(value)}`).sort();
    const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
    const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
    const canonical = ['GET', '/', pairs.join('&'), `host:${host}:${port}`, '', 'host', sha256('')].join('\n');
    const key = [...scope.split('/')].reduce<string | Buffer>((at, part) => hmac(at, part), `AWS4${secretAccessKey}`);
    const expected = hmac(key, ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')).toString('hex');
    return signature === expected ? undefined : 'wrong signature';
  }
}

const packet = (sequence: number, payload: Buffer): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  header[3] = sequence;
  return Buffer.concat([header, payload]);
};

/** The payload of the next packet, and nothing behind it. */
async function readPacket(socket: Socket): Promise<Buffer> {
  const read = async (length: number): Promise<Buffer> => {
    for (;;) {
      const bytes = socket.read(length) as Buffer | null;
      if (bytes !== null) return bytes;
      if (socket.destroyed || socket.readableEnded) throw new Error('the connection has ended');
      await Promise.race([once(socket, 'readable'), once(socket, 'close')]);
    }
  };
  return read((await read(4)).readUIntLE(0, 3));
}

const failure = (code: number, state: string, message: string): Buffer =>
  Buffer.concat([Buffer.from([0xff, code & 255, code >> 8]), Buffer.from(`#${state}${message}`)]);

/** The greeting with the flag for TLS set. */
function withSsl(greeting: Buffer): Buffer {
  const flags = greeting.indexOf(0, 1) + 1 + 4 + 8 + 1;
  const changed = Buffer.from(greeting);
  changed.writeUInt16LE(greeting.readUInt16LE(flags) | CLIENT_SSL, flags);
  return changed;
}

/** The login of the client to the server behind: the same flags, as root, with an empty password and without TLS. */
function asRoot(response: Buffer, greeting: Buffer): Buffer {
  const head = Buffer.from(response.subarray(0, 32));
  const flags =
    (head.readUInt32LE(0) & ~(CLIENT_SSL | CLIENT_CONNECT_ATTRS | CLIENT_CONNECT_WITH_DB)) | CLIENT_PLUGIN_AUTH;
  head.writeUInt32LE(flags >>> 0, 0);
  const plugin = greeting.toString('latin1').replace(/\0$/, '').split('\0').at(-1);
  return Buffer.concat([head, Buffer.from(`root\0\0${plugin}\0`)]);
}
