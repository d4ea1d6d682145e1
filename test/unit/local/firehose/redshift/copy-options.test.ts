import { describe, expect, test } from 'vitest';
import { parseCopyOptions } from '../../../../../src/local/firehose/redshift/copy-options.ts';

const DEFAULTS = {
  ignoreCase: false,
  gzip: false,
  timeFormat: undefined,
  dateFormat: undefined,
  blanksAsNull: false,
  emptyAsNull: false,
  truncateColumns: false,
  maxErrors: 0,
  invalidCharacter: undefined,
};

test.each<[string, object]>([
  ["JSON 'auto'", {}],
  ["json as 'auto'", {}],
  ['FORMAT AS JSON', {}],
  ["format json 'auto ignorecase'", { ignoreCase: true }],
  ["GZIP JSON 'auto' gzip", { gzip: true }],
  [
    "JSON 'auto' TIMEFORMAT AS 'epochmillisecs' DATEFORMAT 'DD.MM.YYYY'",
    { timeFormat: 'epochmillisecs', dateFormat: 'DD.MM.YYYY' },
  ],
  ["JSON 'auto' TIMEFORMAT 'auto' DATEFORMAT AS 'auto'", {}],
  ["JSON 'auto' TIMEFORMAT 'YYYY-MM-DD''T''HH'", { timeFormat: "YYYY-MM-DD'T'HH" }],
  [
    "JSON 'auto'\nBLANKSASNULL\tEMPTYASNULL TRUNCATECOLUMNS",
    { blanksAsNull: true, emptyAsNull: true, truncateColumns: true },
  ],
  ["JSON 'auto' MAXERROR AS 100000", { maxErrors: 100_000 }],
  ["JSON 'auto' ACCEPTINVCHARS", { invalidCharacter: '?' }],
  ["JSON 'auto' ACCEPTINVCHARS AS '^' MAXERROR 1", { invalidCharacter: '^', maxErrors: 1 }],
  ["JSON 'auto' COMPUPDATE STATUPDATE COMPUPDATE PRESET STATUPDATE off", {}],
])('%s', (text, expected) => {
  expect(parseCopyOptions(text)).toEqual({ ...DEFAULTS, ...expected });
});

describe('refused by name', () => {
  test.each([
    ['', "The local Firehose copies only JSON: add JSON 'auto' to CopyOptions"],
    ['GZIP', "The local Firehose copies only JSON: add JSON 'auto' to CopyOptions"],
    ["JSON 'noshred'", "does not support the COPY option JSON 'noshred'"],
    ["JSON 's3://b/paths.json'", "does not support the COPY option JSON 's3://b/paths.json', a file of JSONPaths"],
    ['FORMAT AS PARQUET', 'does not support the COPY option FORMAT other than JSON'],
    ["delimiter '|'", 'does not support the COPY option DELIMITER'],
    ["JSON 'auto' LZOP", 'does not support the COPY option LZOP'],
    [
      "JSON 'auto' REGION 'eu-west-1'",
      'CopyOptions cannot contain REGION: Firehose adds it to the COPY command itself',
    ],
    ["JSON 'auto' IAM_ROLE 'arn'", 'CopyOptions cannot contain IAM_ROLE'],
    ["JSON 'auto' credentials 'x'", 'CopyOptions cannot contain CREDENTIALS'],
    ["JSON 'auto' manifest", 'CopyOptions cannot contain MANIFEST'],
    ["JSON 'auto' MAXERROR", 'The COPY option MAXERROR needs a number'],
    ["JSON 'auto' MAXERROR '5'", 'The COPY option MAXERROR needs a number'],
    ["JSON 'auto' MAXERROR 100001", 'MAXERROR cannot be greater than 100000'],
    ["JSON 'auto' TIMEFORMAT epochsecs", 'The COPY option TIMEFORMAT needs a text in quotes'],
    ["JSON 'auto' ACCEPTINVCHARS 'é'", 'ACCEPTINVCHARS needs one ASCII character'],
    ["JSON 'auto' 'x'", "CopyOptions has 'x' where an option begins"],
    ["JSON 'auto", "CopyOptions has an unexpected '"],
  ])('%s', (text, message) => {
    expect(() => parseCopyOptions(text)).toThrow(message);
  });
});
