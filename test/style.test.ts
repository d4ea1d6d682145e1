import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

/** Rules of style that biome does not have. CONTRIBUTING.md explains them; biome.json holds the others. */

const LINE_LENGTH = 120;

/** Words that the vocabulary replaces, and what to write. A word matches inside a camelCase name too. */
const REPLACED: Readonly<Record<string, string>> = {
  shipper: 'StreamSender',
  parcel: 'batch',
  knot: 'XA barrier',
  lender: 'before image',
  villain: 'nemesis',
  pledge: 'prepared XA transaction',
  troubled: 'delivery error',
  'set aside': 'moved to the dead letters',
  told: 'reported, emitted or logged',
  tells: 'reports, emits or shows',
  anew: 'again',
  'goes on': 'continues',
  'comes back': 'returns',
  'stands behind': 'follows',
  'save for': 'except',
  'for ever': 'without end, or forever',
  'as it were': 'nothing',
};

const tracked = (pattern: string): string[] =>
  execFileSync('git', ['ls-files', '--', pattern], { encoding: 'utf8' }).split('\n').filter(Boolean);
const read = (file: string): string => readFileSync(file, 'utf8');

/** Where a text uses a replaced word: `line: word -> replacement`. */
function replacedWords(text: string): string[] {
  // ParcelFactory, toldEarly -> parcel factory, told early
  const words = text
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split('\n');
  return words.flatMap((line, i) =>
    Object.entries(REPLACED)
      .filter(([word]) => new RegExp(`(?<![a-z])${word}(?:s|ed)?(?![a-z])`).test(line))
      .map(([word, instead]) => `${i + 1}: ${word} -> ${instead}`),
  );
}

/** The names that a file exports, and its types and classes. */
const declared = (text: string): string[] =>
  [
    ...text.matchAll(/^export (?:async )?(?:abstract )?(?:function\*?|const|class|interface|type|enum) (\w+)/gm),
    ...text.matchAll(/^(?:class|interface|type|enum) (\w+)/gm),
  ].map((match) => match[1] as string);

const sources = [...tracked('src/*.ts'), ...tracked('src/*.tsx')];
const prose = [
  ...sources,
  ...tracked('src/dashboard/*.css'),
  ...tracked('test/*.ts'),
  ...tracked('*.md'),
  ...tracked('config/*'),
  ...tracked('docker/*'),
].filter((file) => file !== 'test/style.test.ts');

describe('the rules', () => {
  test('find a replaced word in prose and in names, and nothing else', () => {
    expect(replacedWords('a parcel\nconst nextParcel = 1;\nparcelling knots')).toEqual([
      '1: parcel -> batch',
      '2: parcel -> batch',
      '3: knot -> XA barrier',
    ]);
    expect(replacedWords('knotted, unparcel, it goes onward')).toEqual([]);
  });

  test('see what a file declares', () => {
    const text = 'export const a = 1;\nexport async function b() {}\ninterface C {}\nexport type D = 1;\nconst e = 2;';
    expect(declared(text)).toEqual(['a', 'b', 'D', 'C']);
  });
});

test('code, tests and docs use the words of the vocabulary', () => {
  expect(prose.flatMap((file) => replacedWords(read(file)).map((found) => `${file}:${found}`))).toEqual([]);
});

test(`no line of a comment has more than ${LINE_LENGTH} characters`, () => {
  const long = [...sources, ...tracked('test/*.ts')].flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, i) => (/^\s*(\/\/|\/?\*)/.test(line) && line.length > LINE_LENGTH ? [`${file}:${i + 1}`] : [])),
  );
  expect(long).toEqual([]);
});

test('an exported name, a type or a class exists once in src', () => {
  const files = new Map<string, string[]>();
  for (const file of sources) {
    for (const name of declared(read(file))) files.set(name, [...(files.get(name) ?? []), file]);
  }
  expect([...files].filter(([, where]) => where.length > 1)).toEqual([]);
});
