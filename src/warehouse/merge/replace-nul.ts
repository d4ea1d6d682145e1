const NUL = Buffer.from('\\u0000');
const BACKSLASH = 0x5c;
const REPLACEMENT = Buffer.from('\\ufffd');

/**
 * The lines of JSON with U+FFFD in the place of NUL, which no text of PostgreSQL can have. JSON writes NUL as an escape
 * sequence; a backslash before it that is itself escaped makes it plain text.
 */
export function replaceNul(json: Buffer): Buffer {
  let replaced = json;
  for (let at = json.indexOf(NUL); at >= 0; at = json.indexOf(NUL, at + NUL.length)) {
    let backslashes = 0;
    while (at - backslashes > 0 && json[at - backslashes - 1] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 1) continue;
    if (replaced === json) replaced = Buffer.from(json);
    REPLACEMENT.copy(replaced, at);
  }
  return replaced;
}
