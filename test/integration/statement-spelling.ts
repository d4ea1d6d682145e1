import type { Random } from '../../src/local/demo/random.ts';

/** A piece of a statement: a keyword or symbol, the name of a table, or a string. */
export type Spelling = string | { schema: string; name: string } | { text: string };

export interface SpellingOptions {
  ansiQuotes: boolean;
  mariadb: boolean;
  defaultSchema: string;
}

const PLAIN_NAME = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;

/** Writes a statement in one of the many ways that mean the same. */
export function spell(pieces: readonly Spelling[], random: Random, options: SpellingOptions): string {
  const words = pieces.map((piece) => spellPiece(piece, random, options));
  // A version comment around some of the words, which the server executes.
  if (random.chance(0.2)) {
    const from = random.below(words.length);
    const to = from + random.below(words.length - from);
    const open = random.pick(['/*!', '/*!40100 ', '/*!50000', ...(options.mariadb ? ['/*M!', '/*M!100100 '] : [])]);
    words[from] = `${open} ${words[from]}`;
    words[to] = `${words[to]} */`;
  }
  if (random.chance(0.3)) words.push(random.pick(['-- tail', '/* tail */', '# tail', '--', ';']));
  if (random.chance(0.2)) words.unshift(random.pick(['/* lead */', '-- lead\n', '# lead\n', '/**/']));
  if (options.mariadb && random.chance(0.1)) words.unshift('SET STATEMENT', 'lock_wait_timeout', '=', '10', 'FOR');
  return words.reduce((sql, word) => sql + gap(sql, word, random) + word);
}

function spellPiece(piece: Spelling, random: Random, options: SpellingOptions): string {
  if (typeof piece === 'string') {
    return random.pick([piece, piece.toLowerCase(), piece[0]?.toUpperCase() + piece.slice(1).toLowerCase()]);
  }
  if ('text' in piece) return `'${piece.text.replaceAll("'", "''")}'`;
  const name = quote(piece.name, random, options);
  if (piece.schema === options.defaultSchema && random.chance(0.5)) return name;
  const dot = random.pick(['.', ' . ', '/**/./* . */', '.']);
  return `${quote(piece.schema, random, options)}${dot}${name}`;
}

function quote(name: string, random: Random, { ansiQuotes }: SpellingOptions): string {
  if (PLAIN_NAME.test(name) && random.chance(0.4)) return name;
  if (ansiQuotes && random.chance(0.6)) return `"${name.replaceAll('"', '""')}"`;
  return `\`${name.replaceAll('`', '``')}\``;
}

/** What stands between two words: nothing is enough beside a quote or a symbol. */
function gap(before: string, after: string, random: Random): string {
  const isClosed = /[`"(),]$/.test(before) || /^[`"(),]/.test(after);
  if (before.endsWith('\n')) return '';
  if (isClosed && random.chance(0.4)) return '';
  return random.pick([
    ' ',
    '  ',
    '\n',
    '\t',
    ' /* c */ ',
    '/* TRUNCATE TABLE x */',
    ' # note\n',
    ' -- note\n',
    '/*\n*/',
    ' ',
  ]);
}
