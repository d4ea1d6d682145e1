import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The code in the README and in docs. */

const root = resolve(import.meta.dirname, '..');

/** Pages of docs, as paths within it. */
export const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .sort();

export const pages = ['README.md', ...docs.map((name) => `docs/${name}`)];

export const readPage = (name: string): string => readFileSync(join(root, name), 'utf8');

export interface Block {
  /** The word behind the fence; empty for an indented block. */
  language: string;
  text: string;
}

/** The code of a page: what stands between fences, and what is indented by four spaces behind a blank line. */
export function blocks(page: string): Block[] {
  const fenced = /^```(\w*)\n([\s\S]*?)^```$/gm;
  const found = [...page.matchAll(fenced)].map((match): Block => ({ language: match[1] ?? '', text: match[2] ?? '' }));
  const indented = page.replace(fenced, '').matchAll(/(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+/g);
  return [...found, ...[...indented].map(([text]) => ({ language: '', text: text.replace(/^ {4}/gm, '') }))];
}

export const inlineCode = (page: string): string[] =>
  [...page.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1] as string);

const PROGRAM = /^(?:\$ )?((?:cdc|npm|npx|node|curl|docker|psql|mysql|config\/aws\/deploy\.sh)\s+[^\s,]+(?:\s.*)?)$/;

/** The lines of code that a reader types into a shell, each once; comments behind them are left out. */
export function shellLines(page: string): string[] {
  const lines = blocks(page).flatMap(({ text }) => text.replace(/ *\\\n\s*/g, ' ').split('\n'));
  const typed = lines.flatMap((line) => PROGRAM.exec(line.trim())?.[1] ?? []);
  return [...new Set(typed.map((line) => withoutComment(line).trim()))];
}

/** A `#` begins a comment behind a space, and outside of quotes. */
function withoutComment(line: string): string {
  const match = /^((?:'[^']*'|"[^"]*"|[^'"#]|(?<=\S)#)*)\s#/.exec(line);
  return match?.[1] ?? line;
}

/** The words of the first command of a line, as a shell makes them: up to a pipe, a redirection or another command. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  const token = /\s*(?:([|>;&])|((?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"|>;&])+))/gy;
  for (let match = token.exec(line); match !== null && match[1] === undefined; match = token.exec(line)) {
    words.push(
      (match[2] as string).replace(
        /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/g,
        (_, single, double, escaped) => single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped,
      ),
    );
  }
  return words;
}
