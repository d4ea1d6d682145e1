import { describe, expect, test } from 'vitest';
import { packagedServer } from '../../../../src/local/mysql/apt-packages.ts';
import {
  type AptSource,
  formatSources,
  newestPackage,
  parseDistribution,
  parseSources,
  sourcesFor,
} from '../../../../src/local/mysql/apt-sources.ts';

const keyring = '/usr/share/keyrings/archive.gpg';

const debian: AptSource[] = [
  source('http://mirror.test/debian', ['bookworm', 'bookworm-updates'], ['main']),
  source('http://mirror.test/debian-security', ['bookworm-security'], ['main']),
];

function source(uri: string, suites: string[], components: string[]): AptSource {
  return { uris: [uri], suites, components, architectures: [], signedBy: keyring };
}

describe('the sources of a Debian host in deb822', () => {
  const text = `# the mirror of the day
Types: deb deb-src
# http://snapshot.test/archive/debian/20250520T000000Z
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: ${keyring}

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: ${keyring}
`;

  test('sources are read with their keyring, even with comments between the fields', () => {
    expect(parseSources([{ name: 'debian.sources', text }])).toEqual(debian);
  });

  test('disabled sources, source packages and files that apt ignores are left out', () => {
    const stanza = (fields: string) =>
      `${fields}\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n`;
    expect(
      parseSources([
        { name: 'a.sources', text: `${stanza('Types: deb\nEnabled: no')}\n${stanza('Types: deb-src')}` },
        { name: 'b.sources.disabled', text },
        { name: 'c.list.save', text: 'deb http://mirror.test/debian bookworm main' },
      ]),
    ).toEqual([]);
  });

  test('an embedded key keeps its lines', () => {
    const key = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBGPL\n -----END PGP PUBLIC KEY BLOCK-----';
    const stanza = `Types: deb\nURIs: http://mirror.test/debian\nSuites: sid\nComponents: main\nSigned-By:\n ${key}\n`;
    const [parsed] = parseSources([{ name: 'a.sources', text: stanza }]);
    expect(parsed!.signedBy).toBe(key);
    expect(formatSources([parsed!])).toBe(stanza);
  });
});

describe('the sources of an Ubuntu noble host in deb822', () => {
  const text = `Types: deb
URIs: http://mirror.test/ubuntu/
Suites: noble noble-updates noble-backports
Components: main universe restricted multiverse
Signed-By: ${keyring}

## Ubuntu security updates. Aside from URIs and Suites,
## this should mirror your choices in the previous section.
Types: deb
URIs: http://security.test/ubuntu/
Suites: noble-security
Components: main universe restricted multiverse
Signed-By: ${keyring}
`;

  test('MySQL and MariaDB come from the suites of the host without backports', () => {
    const sources = parseSources([{ name: 'ubuntu.sources', text }]);
    for (const flavor of ['mysql', 'mariadb'] as const) {
      expect(
        formatSources(sourcesFor(packagedServer(flavor), { family: 'ubuntu', codename: 'noble' }, 'amd64', sources)),
      ).toBe(
        `Types: deb
URIs: http://mirror.test/ubuntu/
Suites: noble noble-updates
Components: main universe restricted multiverse
Signed-By: ${keyring}

Types: deb
URIs: http://security.test/ubuntu/
Suites: noble-security
Components: main universe restricted multiverse
Signed-By: ${keyring}
`,
      );
    }
  });
});

test('one-line sources are read with their options, without disabled lines, source packages and discs', () => {
  const text = `
# deb http://mirror.test/debian bookworm contrib
deb [ arch=amd64,arm64 signed-by=${keyring} trusted=yes ] http://mirror.test/debian bookworm main contrib # the mirror
deb-src http://mirror.test/debian bookworm main
deb cdrom:[Debian 12]/ bookworm main
deb http://mirror.test/debian-security bookworm-security main
`;
  expect(parseSources([{ name: 'sources.list', text }])).toEqual([
    {
      uris: ['http://mirror.test/debian'],
      suites: ['bookworm'],
      components: ['main', 'contrib'],
      architectures: ['amd64', 'arm64'],
      signedBy: keyring,
      trusted: 'yes',
    },
    {
      uris: ['http://mirror.test/debian-security'],
      suites: ['bookworm-security'],
      components: ['main'],
      architectures: [],
    },
  ]);
});

describe('the sources for a server', () => {
  const bookworm = { family: 'debian', codename: 'bookworm' } as const;

  test('on Debian, MySQL comes from the unstable suite of the mirror and MariaDB from the suites of the host', () => {
    expect(sourcesFor(packagedServer('mysql'), bookworm, 'amd64', debian)).toEqual([{ ...debian[0], suites: ['sid'] }]);
    expect(sourcesFor(packagedServer('mariadb'), bookworm, 'amd64', debian)).toEqual(debian);
  });

  test('no server comes from a third party, even if its suite has the name of the distribution', () => {
    const thirdParties = [
      source('http://browser.test/linux', ['stable'], ['main']),
      source('http://node.test/node_20.x', ['nodistro'], ['main']),
      source('http://database.test/repo/debian', ['bookworm'], ['main']),
      source('http://elephant.test/pub/repos/apt', ['bookworm-pgdg'], ['main']),
    ];
    for (const sources of [
      [...thirdParties, ...debian],
      [...debian, ...thirdParties],
    ]) {
      expect(sourcesFor(packagedServer('mysql'), bookworm, 'amd64', sources)).toEqual([
        { ...debian[0], suites: ['sid'] },
      ]);
      expect(sourcesFor(packagedServer('mariadb'), bookworm, 'amd64', sources)).toEqual(debian);
    }
  });

  test('the server comes from the archive of its architecture', () => {
    const ports = {
      ...source('http://ports.test/ubuntu-ports', ['noble', 'noble-updates'], ['main']),
      architectures: ['arm64'],
    };
    const primary = {
      ...source('http://mirror.test/ubuntu', ['noble', 'noble-updates'], ['main']),
      architectures: ['amd64'],
    };
    const noble = { family: 'ubuntu', codename: 'noble' } as const;
    expect(sourcesFor(packagedServer('mysql'), noble, 'arm64', [primary, ports])).toEqual([ports]);
    expect(sourcesFor(packagedServer('mysql'), noble, 'amd64', [primary, ports])).toEqual([primary]);
  });

  test('there are no sources if apt has no archive of the distribution', () => {
    expect(sourcesFor(packagedServer('mysql'), bookworm, 'amd64', [])).toEqual([]);
    expect(sourcesFor(packagedServer('mysql'), bookworm, 'amd64', debian.slice(1))).toEqual([]);
  });
});

test('a derivative is treated as the distribution that it is based on', () => {
  expect(parseDistribution('NAME="Debian"\nID=debian\nVERSION_CODENAME=bookworm\n')).toEqual({
    family: 'debian',
    codename: 'bookworm',
  });
  expect(parseDistribution('ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble')).toEqual({
    family: 'ubuntu',
    codename: 'noble',
  });
  expect(
    parseDistribution('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble'),
  ).toEqual({ family: 'ubuntu', codename: 'noble' });
  expect(parseDistribution('ID=fedora\nVERSION_ID=42')).toBeUndefined();
});

test('the package without a version is preferred, otherwise the newest server', () => {
  expect(newestPackage('mysql-server-core', ['mysql-server-core-8.0', 'mysql-server-core'])).toBe('mysql-server-core');
  expect(
    newestPackage('mysql-server-core', ['mysql-server-core-8.0', 'mysql-server-core-8.4', 'mysql-server-core-8.0-dbg']),
  ).toBe('mysql-server-core-8.4');
  expect(newestPackage('mariadb-server-core', ['mariadb-server-core-10.6', 'mariadb-server-core-10.11'])).toBe(
    'mariadb-server-core-10.11',
  );
  expect(newestPackage('mariadb-server-core', ['mysql-server-core'])).toBeUndefined();
  expect(newestPackage('postgresql', ['postgresql-9.6', 'postgresql-15', 'postgresql-15-cron'])).toBe('postgresql-15');
});
