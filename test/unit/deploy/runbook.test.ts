import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readFile, root } from '../../deploy/deploy-files.ts';
import { parseCommand } from '../../deploy/parse-command.ts';
import { blocks, inlineCode, shellWords } from '../../docs-code.ts';

const runbook = readFile('docs/RUNBOOK.md');
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
  .join('\n');

test('the messages that it quotes are those of the code', () => {
  const disasters = runbook.slice(runbook.indexOf('## Disasters')).replace(/\s+/g, ' ');
  const quoted = [...disasters.matchAll(/"([a-z][^"]{15,})"/g)].map((match) => match[1]!);
  expect(quoted.length).toBeGreaterThan(6);
  expect(quoted.filter((message) => !sources.includes(message))).toEqual([]);
});

test('its commands are commands of cdc', async () => {
  const lines = [...blocks(runbook).flatMap(({ text }) => text.split('\n')), ...inlineCode(runbook)];
  const commands = lines.flatMap((line) => /^(?:.*\s)?(?:cdc|\S*dist\/main\.js) ([a-z].*)$/.exec(line)?.[1] ?? []);
  const typed = commands.filter((command) => !/^(on|is|run`)/.test(command));
  expect(typed.length).toBeGreaterThan(12);
  for (const command of typed) await parseCommand(shellWords(command));
});
