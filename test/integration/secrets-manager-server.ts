import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An answer of AWS that is an error: its type, HTTP status and message. */
export interface AwsFault {
  type: string;
  status?: number;
  message?: string;
}

/**
 * GetSecretValue of AWS Secrets Manager over its wire protocol (JSON 1.1), for the real SDK. It checks no signature,
 * but notes who signed.
 */
export class SecretsManagerServer {
  /** Name or ARN to the text of the secret. */
  readonly secrets = new Map<string, string | Uint8Array>();
  /** What each request asked for. */
  readonly calls: { id: string; region: string | undefined; key: string | undefined }[] = [];
  /** Answered to each request while it is set. `hang`: nothing is answered. */
  fault: AwsFault | 'hang' | 'cut' | undefined;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  static async listen(): Promise<SecretsManagerServer> {
    const server = new SecretsManagerServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { SecretId: id } = JSON.parse(Buffer.concat(chunks).toString());
    const scope = /Credential=([^/]+)\/\d+\/([^/]+)\/secretsmanager\//.exec(request.headers.authorization ?? '');
    this.calls.push({ id, key: scope?.[1], region: scope?.[2] });
    if (this.fault === 'hang') return;
    if (this.fault === 'cut') return void request.socket.destroy();
    const operation = request.headers['x-amz-target'];
    const text = this.secrets.get(id);
    const missing = { type: 'ResourceNotFoundException', message: "Secrets Manager can't find the specified secret." };
    const fault: AwsFault | undefined = this.fault ?? (text === undefined ? missing : undefined);
    if (operation !== 'secretsmanager.GetSecretValue')
      return send(response, 400, { __type: 'UnknownOperationException' });
    if (fault !== undefined) {
      const { type, status = 400, message = type } = fault;
      return send(response, status, { __type: type, message });
    }
    const value =
      typeof text === 'string'
        ? { SecretString: text }
        : { SecretBinary: Buffer.from(text as Uint8Array).toString('base64') };
    send(response, 200, { ARN: `arn:aws:secretsmanager:us-east-1:123456789012:secret:${id}`, Name: id, ...value });
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
  response.end(JSON.stringify(body));
}
