import { createPrivateKey, X509Certificate } from 'node:crypto';

const PEM = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** Why the text is no PEM file with certificates; undefined if it is one. Node takes any text and trusts nobody. */
export function certificatesProblem(text: string): string | undefined {
  const blocks = text.match(PEM) ?? [];
  if (blocks.length === 0) {
    return text.includes('PRIVATE KEY-----')
      ? 'it holds a private key, and no certificate'
      : 'it holds no PEM certificate (-----BEGIN CERTIFICATE-----)';
  }
  for (const [i, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch {
      return `certificate ${i + 1} in it is damaged`;
    }
  }
  return undefined;
}

/** Why the text is no PEM file with a private key that can be used; undefined if it is one. */
export function privateKeyProblem(text: string): string | undefined {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    return text.includes('CERTIFICATE-----')
      ? 'it holds a certificate, and no private key'
      : 'it holds no PEM private key (-----BEGIN PRIVATE KEY-----)';
  }
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    return 'the key has a passphrase, which cdc cannot ask for; store it without one (openssl pkey -in … -out …), with mode 0600';
  }
  try {
    createPrivateKey(text);
    return undefined;
  } catch {
    return 'the private key in it is damaged';
  }
}

/** Why the key is not that of the certificate; undefined if it is. Both texts are usable alone. */
export function keyPairProblem(certificate: string, key: string): string | undefined {
  const [leaf = ''] = certificate.match(PEM) ?? [];
  return new X509Certificate(leaf).checkPrivateKey(createPrivateKey(key))
    ? undefined
    : 'the key is not that of the certificate';
}
