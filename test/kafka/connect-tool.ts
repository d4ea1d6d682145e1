import { once } from 'node:events';
import type { KafkaArtifacts } from './artifacts.ts';
import { spawnJava } from './spawn-java.ts';

/** A key or a value of a message. */
export interface Part {
  of: 'key' | 'value';
  schemas: boolean;
  content: Buffer | null;
}

/** What the converter of Kafka Connect made of a part: what it read, written again; or its error. */
export type Converted = { text: string | null } | { error: string };

const HEADER_BYTES = 5;

/** Reads the parts with Apache's JsonConverter, in a process of its own. One result for each, in their order. */
export async function convert(artifacts: KafkaArtifacts, parts: readonly Part[]): Promise<Converted[]> {
  const { child, log } = spawnJava(artifacts, ['-Xmx768m', 'ConnectTool'], 'pipe');
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (bytes: Buffer) => chunks.push(bytes));
  child.stdin?.on('error', () => {});
  const closed = once(child, 'close');
  for (const { of, schemas, content } of parts) {
    const header = Buffer.alloc(2 + 4);
    header.write(of === 'key' ? 'K' : 'V');
    header.writeInt8(schemas ? 1 : 0, 1);
    header.writeInt32BE(content === null ? -1 : content.length, 2);
    child.stdin?.write(header);
    if (content !== null && child.stdin?.write(content) === false)
      await Promise.race([once(child.stdin, 'drain'), closed]);
  }
  child.stdin?.end();
  await closed;
  const results = decode(Buffer.concat(chunks));
  if (results.length !== parts.length) throw new Error(`${results.length} of ${parts.length} results\n${log()}`);
  return results;
}

function decode(bytes: Buffer): Converted[] {
  const results: Converted[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readInt32BE(at + 1);
    const from = at + HEADER_BYTES;
    const text = length < 0 ? null : bytes.toString('utf8', from, from + length);
    results.push(bytes.toString('latin1', at, at + 1) === 'E' ? { error: text ?? '' } : { text });
    at = from + Math.max(length, 0);
  }
  return results;
}
