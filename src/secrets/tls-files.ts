import type { SslOptions } from 'mysql2';
import type { TlsSettings } from '../model/source-connection.ts';
import { certificatesProblem, keyPairProblem, privateKeyProblem } from '../runtime/certificates.ts';
import { CdcError } from '../runtime/error.ts';
import { readConnectionFile } from './password-file.ts';

/**
 * The TLS options of mysql2, with the authorities and the client certificate that are in their files now.
 * @throws CdcError of kind `retry`: whoever renews a certificate replaces its files one after the other
 */
export function tlsOptions({ caFile, certFile, keyFile, ...checks }: TlsSettings, section: string): SslOptions {
  const ca = caFile && readPem(caFile, `${section}.ca_file`, certificatesProblem);
  const cert = certFile && readPem(certFile, `${section}.cert_file`, certificatesProblem);
  const key =
    keyFile &&
    readPem(keyFile, `${section}.key_file`, (text) => privateKeyProblem(text) ?? (cert && keyPairProblem(cert, text)));
  return { ...checks, ...(ca && { ca }), ...(cert && key && { cert, key }) };
}

function readPem(file: string, key: string, problemOf: (text: string) => string | undefined): string {
  const text = readConnectionFile(file, key);
  const why = problemOf(text);
  if (why === undefined) return text;
  const hint = 'correct the file; cdc reads it for each connection';
  throw new CdcError(`${key} ${file} is not usable`, { kind: 'retry', why, hint });
}
