/**
 * What a terminal does not print but obeys: control characters, line and paragraph separators, and the marks that turn
 * the direction of a text. Names of tables and messages of a server can hold them.
 */
const UNSAFE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text of somebody else as one line that a terminal only prints: such as `\u001b` for an escape. */
export const printable = (text: string): string => text.replace(UNSAFE, escapeCharacter);

/** The same for a message: its line ends, with the indentation behind them, become a space. */
export const printableLine = (text: string): string => printable(text.replace(/\s*[\r\n]+\s*/g, ' '));

const escapeCharacter = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
