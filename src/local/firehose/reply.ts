import { randomBytes, randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { onAbort } from '../../runtime/abort.ts';
import type { AwsError } from './aws-error.ts';

/** A response and how it is sent. Only an injected fault uses another `delivery` than `whole`. */
export interface Reply {
  status: number;
  contentType: string;
  body: string;
  /**
   * `truncated` and `stalled` send the headers and half of the body; `lost`, `reset` and `hang` send nothing. Default:
   * whole.
   */
  delivery?: 'whole' | 'truncated' | 'stalled' | 'lost' | 'reset' | 'hang';
  afterMs?: number;
}

export const JSON_1_1 = 'application/x-amz-json-1.1';

export const jsonReply = (status: number, document: object): Reply => ({
  status,
  contentType: JSON_1_1,
  body: JSON.stringify(document),
});

export const errorReply = ({ type, message, status }: AwsError): Reply => jsonReply(status, { __type: type, message });

/** When `closing` aborts, hanging connections are closed and delayed responses are sent at once. */
export async function sendReply(response: ServerResponse, reply: Reply, closing: AbortSignal): Promise<void> {
  if (reply.afterMs) await sleep(reply.afterMs, undefined, { signal: closing }).catch(() => {});
  const { socket } = response;
  switch (reply.delivery) {
    case 'lost':
      socket?.destroy();
      return;
    case 'reset':
      socket?.resetAndDestroy();
      return;
    case 'hang':
      if (socket) hang(socket, closing);
      return;
    case 'truncated':
      writeHead(response, reply);
      response.write(reply.body.slice(0, reply.body.length / 2), () => socket?.destroy());
      return;
    case 'stalled':
      writeHead(response, reply);
      response.write(reply.body.slice(0, reply.body.length / 2));
      if (socket) hang(socket, closing);
      return;
    default:
      writeHead(response, reply);
      response.end(reply.body);
  }
}

function hang(socket: Socket, closing: AbortSignal): void {
  const removeListener = onAbort(closing, () => socket.destroy());
  socket.once('close', removeListener);
}

function writeHead(response: ServerResponse, { status, contentType, body }: Reply): void {
  response.writeHead(status, {
    'x-amzn-RequestId': randomUUID(),
    'x-amz-id-2': randomBytes(48).toString('base64'),
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    ...(status === 413 && { connection: 'close' }),
  });
}
