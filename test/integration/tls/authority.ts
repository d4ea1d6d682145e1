import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DAY_MS = 86_400_000;
const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A certificate and its key, as PEM files. */
export interface Certificate {
  cert: string;
  key: string;
}

/** A certificate authority of a test, with openssl. */
export class Authority {
  readonly directory = mkdtempSync(join(tmpdir(), 'cdc-authority-'));
  readonly file = join(this.directory, 'ca.pem');
  readonly #key = join(this.directory, 'ca.key');
  #issued = 0;

  constructor() {
    openssl(
      'req',
      '-x509',
      '-newkey',
      ...EC,
      '-keyout',
      this.#key,
      '-out',
      this.file,
      '-days',
      '30',
      '-subj',
      '/CN=ca',
    );
    const { directory } = this;
    writeFileSync(join(directory, 'index'), '');
    writeFileSync(
      join(directory, 'ca.cnf'),
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${directory}/index\nnew_certs_dir=${directory}\ndefault_md=sha256\n` +
        'policy=p\nunique_subject=no\nrand_serial=yes\n[p]\ncommonName=supplied\n',
    );
  }

  /** @param until the end of its time; default: in 30 days */
  issue({ name, until = new Date(Date.now() + 30 * DAY_MS) }: { name: string; until?: Date }): Certificate {
    const base = join(this.directory, `${this.#issued++}`);
    const [key, request, cert, extensions] = [`${base}.key`, `${base}.csr`, `${base}.pem`, `${base}.ext`] as const;
    openssl('req', '-newkey', ...EC, '-keyout', key, '-out', request, '-subj', `/CN=${name}`);
    writeFileSync(extensions, `subjectAltName=DNS:${name}\n`);
    const time = (date: Date): string => `${date.toISOString().replace(/\.\d+|[-:T]/g, '')}`;
    const dates = ['-startdate', time(new Date(Date.now() - 2 * DAY_MS)), '-enddate', time(until)];
    const by = ['-config', join(this.directory, 'ca.cnf'), '-cert', this.file, '-keyfile', this.#key];
    openssl('ca', '-batch', '-notext', ...by, ...dates, '-extfile', extensions, '-in', request, '-out', cert);
    return { cert, key };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}

const openssl = (...words: string[]): Buffer => execFileSync('openssl', words, { stdio: 'pipe' });
