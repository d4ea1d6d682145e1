import { copyFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Copies the Java source to the compiled tests, which look for it beside their modules. */
export function copyJavaSource(): void {
  const source = resolve('test/kafka/KafkaTool.java');
  const place = join(import.meta.dirname, 'KafkaTool.java');
  if (place !== source) copyFileSync(source, place);
}
