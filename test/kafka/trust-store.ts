import { createHash, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';

/**
 * Writes the authorities that the host trusts, or those of Node, as a Java key store. Debian's Java gets them from a
 * script of its installation, which an unpacked Java has not run. It opens without a password.
 */
export async function writeTrustStore(file: string): Promise<void> {
  const bundle = await readFile('/etc/ssl/certs/ca-certificates.crt', 'utf8').catch(() => rootCertificates.join('\n'));
  const texts = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const entries = texts.map((text, index) => {
    const { raw } = new X509Certificate(text);
    // 2: a trusted certificate. Its date is of no use.
    return Buffer.concat([
      int(2),
      string(`authority-${index}`),
      Buffer.alloc(8),
      string('X.509'),
      int(raw.length),
      raw,
    ]);
  });
  const content = Buffer.concat([int(0xfeedfeed), int(2), int(entries.length), ...entries]);
  const password = Buffer.from('changeit', 'utf16le').swap16();
  const digest = createHash('sha1').update(password).update('Mighty Aphrodite').update(content).digest();
  await writeFile(file, Buffer.concat([content, digest]));
}

const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

const string = (value: string): Buffer => {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(value.length);
  return Buffer.concat([length, Buffer.from(value)]);
};
