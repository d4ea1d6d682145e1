/** What decides how the text of a statement splits into tokens. */
export interface LexicalModes {
  /** sql_mode ANSI_QUOTES: `"` quotes a name. Otherwise it quotes a string. */
  ansiQuotes: boolean;
  /** sql_mode NO_BACKSLASH_ESCAPES: a backslash in a string is a character like any other. */
  noBackslashEscapes: boolean;
  /** U+00A0 is a space, as it is in every character set of one byte. In UTF-8 it is a character of a name. */
  nbspIsSpace: boolean;
  /** MariaDB also executes the content of `/*M! … *\/`. */
  mariadb: boolean;
}

/**
 * A token of a statement.
 * - `word`: a keyword, an unquoted name or a number
 * - `name`: a quoted name, without its quotes
 * - `string`: the content of a string, escapes as they were written
 * - `symbol`: any other character
 * - `end`: the text is over, or a semicolon ends the statement
 */
export interface Token {
  kind: 'word' | 'name' | 'string' | 'symbol' | 'end';
  text: string;
}

const END: Token = { kind: 'end', text: '' };

/** The text of the token for a quote that is not closed. */
export const UNCLOSED = 'unclosed quote';

/**
 * Splits the text of one statement into tokens, one ahead of the reader, as the lexer of the server does (MySQL:
 * sql/sql_lex.cc, `lex_one_token`; MariaDB: `Lex_input_stream::lex_one_token`).
 *
 * Comments separate tokens. The content of a version comment (`/*!50000 … *\/`) is part of the statement, whatever its
 * version: a server that does not execute it writes it to the binlog as a plain comment.
 */
export class Tokenizer {
  readonly #text: string;
  readonly #modes: LexicalModes;
  #at = 0;
  #isInVersionComment = false;
  #next: Token;

  constructor(text: string, modes: LexicalModes) {
    this.#text = text;
    this.#modes = modes;
    this.#next = this.#read();
  }

  /** The next token, which stays the next one. */
  get next(): Token {
    return this.#next;
  }

  /** Returns the next token and moves past it. */
  take(): Token {
    const token = this.#next;
    if (token.kind !== 'end') this.#next = this.#read();
    return token;
  }

  /** The next token as a keyword, in upper case; empty if it cannot be one. */
  get keyword(): string {
    return this.#next.kind === 'word' ? this.#next.text.toUpperCase() : '';
  }

  /** Moves past the next token if it is one of these keywords. */
  accept(...keywords: readonly string[]): boolean {
    const isNext = keywords.includes(this.keyword);
    if (isNext) this.take();
    return isNext;
  }

  acceptSymbol(symbol: string): boolean {
    const isNext = this.isSymbol(symbol);
    if (isNext) this.take();
    return isNext;
  }

  isSymbol(symbol: string): boolean {
    return this.#next.kind === 'symbol' && this.#next.text === symbol;
  }

  get isAtEnd(): boolean {
    return this.#next.kind === 'end';
  }

  #read(): Token {
    this.#skipSpaceAndComments();
    const text = this.#text;
    const start = this.#at;
    const code = text.charCodeAt(start);
    if (start >= text.length || code === SEMICOLON) return END;
    if (isWordCharacter(code)) {
      while (this.#at < text.length && this.#continuesWord(text.charCodeAt(this.#at))) this.#at++;
      return { kind: 'word', text: text.slice(start, this.#at) };
    }
    const character = text[start] as string;
    if (character === '`') return this.#readName('`');
    if (character === '"') return this.#modes.ansiQuotes ? this.#readName('"') : this.#readString('"');
    if (character === "'") return this.#readString("'");
    this.#at++;
    return { kind: 'symbol', text: character };
  }

  #isSpace(code: number): boolean {
    return code === 0x20 || (code >= 0x09 && code <= 0x0d) || (code === NBSP && this.#modes.nbspIsSpace);
  }

  #continuesWord(code: number): boolean {
    return isWordCharacter(code) && !this.#isSpace(code);
  }

  #skipSpaceAndComments(): void {
    const text = this.#text;
    for (;;) {
      while (this.#at < text.length && this.#isSpace(text.charCodeAt(this.#at))) this.#at++;
      const at = this.#at;
      if (text[at] === '#' || (text.startsWith('--', at) && endsDashes(text.charCodeAt(at + 2)))) {
        this.#at = endOf(text, '\n', at);
      } else if (this.#isInVersionComment && text.startsWith('*/', at)) {
        this.#isInVersionComment = false;
        this.#at += 2;
      } else if (text.startsWith('/*', at)) {
        this.#enterComment(at);
      } else return;
    }
  }

  /** Moves past a plain comment, or past the opening of a version comment. */
  #enterComment(at: number): void {
    const isMariadb = this.#modes.mariadb && text2(this.#text, at + 2) === 'M!';
    if (this.#text[at + 2] !== '!' && !isMariadb) {
      this.#at = endOf(this.#text, '*/', at + 2);
      return;
    }
    this.#at = at + (isMariadb ? 4 : 3);
    this.#at += this.#versionDigits(this.#at);
    this.#isInVersionComment = true;
  }

  /** A version has five digits. It has six on MariaDB if there are as many, and on MySQL if a space follows them. */
  #versionDigits(at: number): number {
    let digits = 0;
    while (digits < 6 && isDigit(this.#text.charCodeAt(at + digits))) digits++;
    const isSixth = digits === 6 && (this.#modes.mariadb || this.#isSpace(this.#text.charCodeAt(at + 6)));
    return isSixth ? 6 : Math.min(digits, 5);
  }

  #readName(quote: string): Token {
    let name = '';
    let from = this.#at + 1;
    for (;;) {
      const end = this.#text.indexOf(quote, from);
      if (end < 0) return this.#unclosed();
      name += this.#text.slice(from, end);
      if (this.#text[end + 1] !== quote) {
        this.#at = end + 1;
        return { kind: 'name', text: name };
      }
      name += quote;
      from = end + 2;
    }
  }

  #readString(quote: string): Token {
    const start = this.#at + 1;
    for (let at = start; at < this.#text.length; at++) {
      const character = this.#text[at];
      if (character === '\\' && !this.#modes.noBackslashEscapes) at++;
      else if (character === quote) {
        if (this.#text[at + 1] === quote) at++;
        else {
          this.#at = at + 1;
          return { kind: 'string', text: this.#text.slice(start, at) };
        }
      }
    }
    return this.#unclosed();
  }

  /** A quote that is not closed: the text was cut, or the modes are not those of its session. */
  #unclosed(): Token {
    this.#at = this.#text.length;
    return { kind: 'symbol', text: UNCLOSED };
  }
}

const NBSP = 0xa0;
const SEMICOLON = 0x3b;

const text2 = (text: string, at: number): string => text.slice(at, at + 2);
const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

/** Letters, digits, `_` and `$`, and every character outside ASCII. */
const isWordCharacter = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) ||
  (code >= 0x41 && code <= 0x5a) ||
  isDigit(code) ||
  code === 0x5f ||
  code === 0x24 ||
  code >= 0x80;

/** Two dashes begin a comment if a space, a control character or nothing follows. */
const endsDashes = (code: number): boolean => Number.isNaN(code) || code <= 0x20 || code === 0x7f;

function endOf(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at < 0 ? text.length : at + mark.length;
}
