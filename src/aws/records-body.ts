/** Bytes that are encoded at once, a multiple of 3. Short strings stay in the cache of the processor. */
const ENCODE_BYTES = 24 * 1024;

const OPEN = '{"Data":"';

/** A record, and what follows its data in the entry: the other members, each after a comma. */
export interface RecordEntry {
  buffers: readonly Buffer[];
  members?: string;
}

/**
 * Writes a request body of records (AWS JSON 1.1) into `target`, or into a new buffer if `target` is too small. Returns
 * the written part of the buffer.
 * @param stream the member that names the stream
 */
export function recordsBody(stream: string, records: readonly RecordEntry[], target: Buffer): Buffer {
  const head = `{${stream},"Records":[`;
  const close = records.map(({ members }) => (members === undefined ? '"}' : `",${members}}`));
  let size = Buffer.byteLength(head) + 2;
  records.forEach(({ buffers }, i) => {
    size += OPEN.length + Buffer.byteLength(close[i] as string) + 1 + base64Length(buffers);
  });
  const body = target.length >= size ? target : Buffer.allocUnsafeSlow(size + (size >> 3));
  let at = body.write(head, 0);
  records.forEach(({ buffers }, i) => {
    at += body.write(i === 0 ? OPEN : `,${OPEN}`, at, 'latin1');
    at = putBase64(buffers, body, at);
    at += body.write(close[i] as string, at);
  });
  at += body.write(']}', at, 'latin1');
  return body.subarray(0, at);
}

function base64Length(buffers: readonly Buffer[]): number {
  let bytes = 0;
  for (const buffer of buffers) bytes += buffer.length;
  return Math.ceil(bytes / 3) * 4;
}

/** Bytes that are not encoded yet, because they do not fill three. */
const carry = Buffer.alloc(3);

/**
 * Writes the buffers as one base64 text into `body`. The last one or two bytes of a buffer are encoded with the next
 * buffer. Returns where the text ends.
 */
function putBase64(buffers: readonly Buffer[], body: Buffer, start: number): number {
  let at = start;
  let carried = 0;
  for (const buffer of buffers) {
    let from = 0;
    if (carried > 0) {
      while (carried < 3 && from < buffer.length) carry[carried++] = buffer[from++] as number;
      if (carried < 3) continue;
      at += body.write(carry.toString('base64'), at, 'latin1');
      carried = 0;
    }
    const end = buffer.length - ((buffer.length - from) % 3);
    for (; from < end; from += ENCODE_BYTES) {
      at += body.write(buffer.toString('base64', from, Math.min(end, from + ENCODE_BYTES)), at, 'latin1');
    }
    for (let i = end; i < buffer.length; i++) carry[carried++] = buffer[i] as number;
  }
  if (carried > 0) at += body.write(carry.toString('base64', 0, carried), at, 'latin1');
  return at;
}
