/** An enabled binary source of the host's apt configuration. */
export interface AptSource {
  uris: string[];
  suites: string[];
  components: string[];
  /** Empty for every architecture. */
  architectures: string[];
  /** The host's value: a keyring file, fingerprints, or a whole key with its line breaks. */
  signedBy?: string;
  trusted?: string;
}

export interface SourceFile {
  name: string;
  text: string;
}

/** The enabled binary sources in apt's order of files. Files that apt ignores are ignored. */
export function parseSources(files: SourceFile[]): AptSource[] {
  return files.flatMap(({ name, text }) => {
    if (name.endsWith('.sources')) return parseDeb822(text);
    if (name.endsWith('.list')) return parseOneLine(text);
    return [];
  });
}

function parseDeb822(text: string): AptSource[] {
  const uncommented = text.replace(/^#.*\n?/gm, '');
  return uncommented.split(/\n[ \t]*\n/).flatMap((stanza) => {
    const fields = new Map<string, string>();
    for (const [, name, value] of stanza.matchAll(/^([^\s:]+):[ \t]*((?:.*(?:\n[ \t].*)*))/gm)) {
      fields.set(name!.toLowerCase(), value!.trim());
    }
    const words = (name: string) => fields.get(name)?.split(/\s+/).filter(Boolean) ?? [];
    if (/^(no|false|without|off|disable|0)$/i.test(fields.get('enabled') ?? '')) return [];
    return createSource({
      types: words('types'),
      uris: words('uris'),
      suites: words('suites'),
      components: words('components'),
      architectures: words('architectures'),
      signedBy: fields.get('signed-by'),
      trusted: fields.get('trusted'),
    });
  });
}

function parseOneLine(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)$/.exec(line.replace(/#.*$/, ''));
    if (!match) return [];
    const options = new Map(
      (match[2] ?? '').split(/\s+/).map((option) => {
        const [name, ...value] = option.split('=');
        return [name!.replace(/[+-]$/, '').toLowerCase(), value.join('=')];
      }),
    );
    return createSource({
      types: [match[1]!],
      uris: [match[3]!],
      suites: [match[4]!],
      components: match[5]!.split(/\s+/).filter(Boolean),
      architectures: options.get('arch')?.split(',') ?? [],
      signedBy: options.get('signed-by')?.replaceAll(',', ' '),
      trusted: options.get('trusted'),
    });
  });
}

function createSource(fields: {
  types: string[];
  uris: string[];
  suites: string[];
  components: string[];
  architectures: string[];
  signedBy: string | undefined;
  trusted: string | undefined;
}): AptSource[] {
  const { types, signedBy, trusted, ...rest } = fields;
  const uris = rest.uris.filter((uri) => !uri.startsWith('cdrom:'));
  if (!types.includes('deb') || uris.length === 0) return [];
  return [{ ...rest, uris, ...(signedBy ? { signedBy } : {}), ...(trusted ? { trusted } : {}) }];
}

/** The distribution in /etc/os-release. For a derivative, the distribution that it is based on. */
export interface Distribution {
  family: 'debian' | 'ubuntu';
  codename: string;
}

export function parseDistribution(osRelease: string): Distribution | undefined {
  const fields = new Map(
    [...osRelease.matchAll(/^([A-Z_]+)=["']?(.*?)["']?$/gm)].map((match) => [match[1]!, match[2]!]),
  );
  const ids = `${fields.get('ID') ?? ''} ${fields.get('ID_LIKE') ?? ''}`.split(/\s+/);
  // Ubuntu and its derivatives are also "like" Debian, so Ubuntu is checked first.
  const family = ids.includes('ubuntu') ? 'ubuntu' : ids.includes('debian') ? 'debian' : undefined;
  const codename =
    fields.get('DEBIAN_CODENAME') ?? fields.get('UBUNTU_CODENAME') ?? fields.get('VERSION_CODENAME') ?? '';
  return family && { family, codename };
}

/**
 * The sources for a server. They belong to the distribution's own archive, never to third parties. What stable Debian
 * does not have comes from the unstable suite of the same mirror. Everything else comes from the host's suites.
 */
export function sourcesFor(
  server: { unstable: boolean },
  distribution: Distribution,
  architecture: string,
  sources: AptSource[],
): AptSource[] {
  const { family, codename } = distribution;
  const rolling = family === 'debian' ? ['stable', 'testing', 'unstable', 'sid', 'oldstable'] : ['devel'];
  const bases = [codename, ...rolling].filter(Boolean);
  const usable = sources.filter(
    ({ components, architectures }) =>
      components.includes('main') && (architectures.length === 0 || architectures.includes(architecture)),
  );
  const candidates = usable.filter(({ suites }) => suites.some((suite) => bases.includes(suite)));
  const suitesAt = (uri: string) =>
    usable.filter((source) => source.uris.includes(uri)).flatMap((source) => source.suites);
  const archive =
    candidates.find(({ uris }) =>
      suitesAt(uris[0]!).some((suite) => bases.includes(suite.replace(/-updates$/, '')) && suite.endsWith('-updates')),
    ) ??
    candidates.find(({ uris }) => uris.some((uri) => uri.includes(family))) ??
    candidates[0];
  if (!archive) return [];
  if (server.unstable && family === 'debian') return [{ ...archive, suites: ['sid'], components: ['main'] }];
  const companions = bases.flatMap((base) => [`${base}-updates`, `${base}-security`, `${base}/updates`]);
  return usable.flatMap((source) => {
    const own = source.uris.some((uri) => archive.uris.includes(uri)) ? [...bases, ...companions] : companions;
    const suites = source.suites.filter((suite) => own.includes(suite));
    return suites.length > 0 ? [{ ...source, suites }] : [];
  });
}

/** Formats the sources as a deb822 file. */
export function formatSources(sources: AptSource[]): string {
  return sources
    .map(({ uris, suites, components, signedBy, trusted }) =>
      [
        'Types: deb',
        `URIs: ${uris.join(' ')}`,
        `Suites: ${suites.join(' ')}`,
        `Components: ${components.join(' ')}`,
        ...(signedBy ? [signedBy.includes('\n') ? `Signed-By:\n ${signedBy}` : `Signed-By: ${signedBy}`] : []),
        ...(trusted ? [`Trusted: ${trusted}`] : []),
        '',
      ].join('\n'),
    )
    .join('\n');
}

/** The package of this name among the packages of the suites: the one without a version, otherwise the newest. */
export function newestPackage(base: string, names: string[]): string | undefined {
  const version = (name: string) =>
    /^-(\d+)(?:\.(\d+))?$/
      .exec(name.slice(base.length))
      ?.slice(1)
      .map((part) => Number(part ?? 0));
  if (names.includes(base)) return base;
  return names
    .filter((name) => name.startsWith(base) && version(name))
    .sort((a, b) => version(b)![0]! - version(a)![0]! || version(b)![1]! - version(a)![1]!)[0];
}
