import { expect, test } from 'vitest';
import { failureText, withoutSecrets } from '../../../src/aws/aws-failure.ts';

/** AWS answers a wrong signature with the request as it should have been signed, session token included. */
const WRONG_SIGNATURE = `The request signature we calculated does not match the signature you provided. Check your AWS \
Secret Access Key and signing method. Consult the service documentation for details.

The Canonical String for this request should have been
'POST
/

content-type:application/x-amz-json-1.1
x-amz-security-token:IQoJb3JpZ2luX2VjEXAMPLETOKEN
'`;
const INCOMPLETE =
  "Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256 " +
  'Credential=AKIAIOSFODNN7EXAMPLE/20261126/eu-west-1/firehose/aws4_request, Signature=fe5f80f77d5fa3beca038a248ff027';

test.each([
  ['InvalidSignatureException', WRONG_SIGNATURE],
  ['IncompleteSignatureException', INCOMPLETE],
  ['UnrecognizedClientException', 'The access key ASIAIOSFODNN7EXAMPLE is not known'],
  ['ExpiredTokenException', `The token ${'IQoJb3JpZ2luX2Vj'.repeat(20)} is expired`],
  ['ValidationException', "1 validation error: Value 'Token=IQoJb3JpZ2luX2Vj' failed"],
])('%s is shown without what AWS repeats of the request', (name, message) => {
  const text = failureText({ name, message, $metadata: { httpStatusCode: 400 } });
  expect(text).toMatch(new RegExp(`^${name}: .{10}`));
  expect(text).not.toMatch(/IQoJb3|AKIA|ASIA|fe5f80|\n/);
});

test('ordinary messages are shown as they are', () => {
  const message =
    'User: arn:aws:sts::123456789012:assumed-role/cdc/i-0123456789abcdef0 is not authorized to perform: ' +
    'firehose:PutRecordBatch on resource: arn:aws:firehose:eu-west-1:123456789012:deliverystream/shop-changes';
  expect(withoutSecrets(message)).toBe(message);
  expect(withoutSecrets('Signature expired: 20261126T170000Z is now earlier than 20261126T171500Z')).toMatch(
    /171500Z$/,
  );
});

test.each([
  ['SyntaxError', 502, 'HTTP 502 that is not from AWS (text/html)'],
  ['Unknown', 429, 'HTTP 429 that is not from AWS (text/html)'],
])('%s is a page of something in between, shown by its status', (name, statusCode, expected) => {
  const message = 'Unexpected token \'<\', "<html>" is not valid JSON';
  const $response = { statusCode, headers: { 'content-type': 'text/html; charset=utf-8' } };
  expect(failureText({ name, message, $response })).toBe(expected);
});

test('a network error is shown with its code', () => {
  expect(failureText({ name: 'Error', code: 'ECONNREFUSED', message: '' })).toBe('Error: ECONNREFUSED');
});

test.each([
  ['Member must not hold "a value"', 'Member must not hold "…"'],
  ['not JSON: "a "quoted" value" at 3', 'not JSON: "…" at 3'],
  ['not JSON: "a value that\nhas lines"', 'not JSON: "…"'],
  ["Value 'it's a row' at 'records.1.member.data' failed", "Value '…' at 'records.1.member.data' failed"],
  ["Value 'a row\nof lines' at 'records.1.member.data' failed", "Value '…"],
  ["Value at 'records.1.member.data' failed", "Value at 'records.1.member.data' failed"],
  ["Value 'no name' at 'deliveryStreamName' failed", "Value 'no name' at 'deliveryStreamName' failed"],
])('a quotation of a row is left out: %s', (message, expected) => {
  expect(withoutSecrets(message)).toBe(expected);
});
