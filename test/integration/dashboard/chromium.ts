import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { unpackPackages } from '../../../src/local/mysql/apt-packages.ts';
import { cacheDirectory } from '../../../src/local/mysql/cache.ts';
import { hostArchitecture } from '../../../src/local/mysql/layout.ts';
import { runProcess } from '../../../src/local/mysql/subprocess.ts';

/** A program, and the variables that it needs in order to find its libraries and fonts. */
interface Installation {
  program: string;
  env: Record<string, string>;
}

/** Chromium without windows: the same engine in a third less space. */
const PACKAGE = { name: 'Chromium', packageName: 'chromium-headless-shell', unstable: false };
const INSTALLED = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'];

/** An installed Chromium, or the packages of Debian, which need no root. @throws Error with the reason */
export async function findChromium(report: (line: string) => void = () => {}): Promise<Installation> {
  const installed = INSTALLED.find((path) => existsSync(path));
  if (installed !== undefined) return { program: installed, env: {} };
  const copy = join(cacheDirectory(), `chromium-${process.arch}`);
  if (existsSync(copy)) return unpacked(copy);
  if (process.platform !== 'linux') {
    throw new Error(`no chromium is installed, and ${process.platform} has no packages`);
  }
  return unpackChromium(copy, report);
}

/** Why there is no Chromium here; undefined if there is one. For `describe.skipIf` and its name. */
export const chromiumUnavailable = (): Promise<string | undefined> =>
  findChromium().then(
    () => undefined,
    (error: Error) => error.message,
  );

/** A headless Chromium of its own, with an empty profile. */
export async function launchChromium(): Promise<Browser> {
  const { program, env } = await findChromium();
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return chromium.launch({
    executablePath: program,
    // Root has no sandbox, and a container can have a small /dev/shm.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--font-render-hinting=none'],
    env: { ...Object.fromEntries(inherited), TZ: 'UTC', ...env },
  });
}

/** The copy gets its name when it is complete. Of two that are made at the same time, the first is used. */
async function unpackChromium(copy: string, report: (line: string) => void): Promise<Installation> {
  await mkdir(join(copy, '..'), { recursive: true });
  const partial = await mkdtemp(`${copy}.partial-`);
  try {
    const scratch = join(partial, 'scratch');
    await mkdir(scratch);
    await unpackPackages(PACKAGE, partial, scratch, { report });
    await rm(scratch, { recursive: true, force: true });
    await removeLibrariesOfTheHost(partial);
    await writeFile(join(partial, 'fonts.conf'), fontSettings(copy));
    await runProcess(unpacked(partial).program, ['--version'], { env: unpacked(partial).env });
    await rename(partial, copy).catch((error) => {
      if (!existsSync(copy)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return unpacked(copy);
}

const libraryFolders = (root: string): string[] =>
  ['lib', 'usr/lib'].map((name) => join(root, name, hostArchitecture().triplet));

/** The program starts with the loader of the host, which fits only its own C library. */
async function removeLibrariesOfTheHost(root: string): Promise<void> {
  for (const folder of libraryFolders(root)) {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    const ofTheHost = names.filter((name) => /^(?:ld-|lib(?:c|m|dl|rt|pthread|resolv|util|nss_\w+)[.-])/.test(name));
    for (const name of ofTheHost) await rm(join(folder, name));
  }
}

function unpacked(root: string): Installation {
  const program = join(root, 'usr/lib/chromium/chromium-headless-shell');
  if (!existsSync(program)) throw new Error(`${root} has no Chromium`);
  // NSS loads its parts by name, and so does PulseAudio.
  const parts = ['nss', 'pulseaudio'].map((name) => join(root, 'usr/lib', hostArchitecture().triplet, name));
  const libraries = [...libraryFolders(root), ...parts].join(':');
  return { program, env: { LD_LIBRARY_PATH: libraries, FONTCONFIG_FILE: join(root, 'fonts.conf') } };
}

/** The package's own settings name the fonts of the host, which a container need not have. */
const fontSettings = (root: string): string => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>${join(root, 'usr/share/fonts')}</dir><cachedir>${join(root, 'font-cache')}</cachedir></fontconfig>
`;
