import type { RecordBuffers, SinkRecord } from '../sink.ts';

/** Bytes that become base64 at once: short strings stay in the processor's cache. A multiple of 3. */
const PIECE = 24 * 1024;
const OPEN = '{"Data":"';
const CLOSE = '"}';

/**
 * Writes the body of a PutRecordBatch (AWS JSON 1.1; API reference, PutRecordBatch) into `target`, which is grown if it
 * is too small, and returns the part that it fills.
 */
export function putRecordBatchBody(stream: string, records: readonly SinkRecord[], target: Buffer): Buffer {
  const head = `{"DeliveryStreamName":${JSON.stringify(stream)},"Records":[`;
  let size = Buffer.byteLength(head) + 2;
  for (const { buffers } of records) size += OPEN.length + CLOSE.length + 1 + base64Length(buffers);
  const body = target.length >= size ? target : Buffer.allocUnsafeSlow(size + (size >> 3));
  let at = body.write(head, 0);
  records.forEach(({ buffers }, i) => {
    at += body.write(i === 0 ? OPEN : `,${OPEN}`, at, 'latin1');
    at = putBase64(buffers, body, at);
    at += body.write(CLOSE, at, 'latin1');
  });
  at += body.write(']}', at, 'latin1');
  return body.subarray(0, at);
}

function base64Length(pieces: RecordBuffers): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return Math.ceil(bytes / 3) * 4;
}

const rest = Buffer.alloc(3);

/** Base64 of the pieces as one text: what a piece leaves over three bytes goes with the start of the next. */
function putBase64(pieces: RecordBuffers, body: Buffer, start: number): number {
  let at = start;
  let over = 0;
  for (const piece of pieces) {
    let from = 0;
    if (over > 0) {
      while (over < 3 && from < piece.length) rest[over++] = piece[from++] as number;
      if (over < 3) continue;
      at += body.write(rest.toString('base64'), at, 'latin1');
      over = 0;
    }
    const end = piece.length - ((piece.length - from) % 3);
    for (; from < end; from += PIECE) {
      at += body.write(piece.toString('base64', from, Math.min(end, from + PIECE)), at, 'latin1');
    }
    for (let i = end; i < piece.length; i++) rest[over++] = piece[i] as number;
  }
  if (over > 0) at += body.write(rest.toString('base64', 0, over), at, 'latin1');
  return at;
}
