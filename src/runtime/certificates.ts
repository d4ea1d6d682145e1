import { X509Certificate } from 'node:crypto';

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
