import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasTerminal, onTerminal } from './terminal.ts';

// The scripts in real shells. zsh and fish are tested where they are installed.

const directory = mkdtempSync(join(tmpdir(), 'cdc-completion-'));
const bin = join(directory, 'bin');
const env = { PATH: `${bin}:${process.env.PATH}`, HOME: directory, PS1: '> ', INPUTRC: '/dev/null' };

beforeAll(() => {
  mkdirSync(bin);
  writeFileSync(join(bin, 'cdc'), `#!/bin/sh\nexec ${process.execPath} ${resolve('dist/main.js')} "$@"\n`);
  chmodSync(join(bin, 'cdc'), 0o755);
  mkdirSync(join(directory, 'state'));
  writeFileSync(join(directory, 'shop.yaml'), 'name: shop\n');
  const hostile = ['orders', 'users', '$(touch hostile)', '`touch hostile`', 'a; touch hostile', "it's"];
  const complete = hostile.map((table) => ({ schema: 'shop', table }));
  writeFileSync(join(directory, 'state', 'shop.json'), JSON.stringify({ coverage: { complete } }));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What bash offers for a line, as `complete -F` calls the function. */
function inBash(line: string): string[] {
  const script = `source <(cdc complete bash); source <(cdc complete bash)
    COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
    _cdc_complete; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', line], {
    cwd: directory,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  // The script can be loaded twice.
  expect(stderr).toBe('');
  return stdout.split('\n').filter((word) => word !== '');
}

describe('bash', () => {
  test.each<[line: string, offered: string[]]>([
    ['cdc sta', ['status']],
    ['cdc dead-letter ', ['list', 'show', 'retry']],
    ['cdc sql --dialect p', ['postgres']],
    // Bash replaces only what follows the =.
    ['cdc sql --dialect=p', ['postgres']],
    ['cdc backfill -c shop.yaml shop.o', ['shop.orders']],
    ['cdc backfill --rate ', []],
    ['cdc run -c ', []],
  ])('%s', (line, offered) => expect(inBash(line)).toEqual(offered));

  test('evaluates neither the line nor the names of tables, and quotes them', () => {
    const offered = inBash('cdc backfill -c shop.yaml $(touch hostile) `touch hostile` ');
    expect(offered).toContain('shop.orders');
    expect(offered.length).toBe(6);
    expect(existsSync(join(directory, 'hostile'))).toBe(false);
    // Each candidate, typed, is the one word that it stands for.
    for (const word of offered) {
      const { stdout } = spawnSync('bash', ['-c', `printf %s ${word}`], { cwd: directory, encoding: 'utf8' });
      expect(stdout).toMatch(/^`?shop`?\.|^shop\./);
    }
    expect(existsSync(join(directory, 'hostile'))).toBe(false);
  });
});

/** The keys that a person types; the shell then runs the line, which only prints its words. */
const KEYS: [typed: string, words: string][] = [
  ['cdc sta\t--js\t', 'status --json'],
  ['cdc sql --dialect sn\t', 'sql --dialect snowflake'],
  ['cdc run -c sho\t', 'run -c shop.yaml'],
  ['cdc run --config=sho\t', 'run --config=shop.yaml'],
  ['cdc tail -c shop.yaml shop.us\t', 'tail -c shop.yaml shop.users'],
];

const SHELLS = [
  {
    shell: 'bash',
    words: ['bash', '--noprofile', '--norc', '-i'],
    prompt: 'bash-',
    load: "source <(cdc complete bash); PS1=LOADED'> '",
  },
  {
    shell: 'zsh',
    words: ['zsh', '-f', '-i'],
    prompt: '> ',
    load: "autoload -Uz compinit; compinit -u -D; source <(cdc complete zsh); PS1=LOADED'> '",
  },
  {
    shell: 'fish',
    words: ['fish', '--no-config', '-i', '-C', "function fish_prompt; echo '> '; end"],
    prompt: '> ',
    load: "cdc complete fish | source; function fish_prompt; echo LOADED'> '; end",
  },
];
const isInstalled = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

describe.each(SHELLS)('$shell on a terminal', ({ shell, words, prompt, load }) => {
  test.skipIf(!hasTerminal || !isInstalled(shell)).each(KEYS)('%j', async (typed, expected) => {
    // The line is run by another cdc, which prints what it was called with, but not for the script.
    const wrapper = join(directory, `typed-${shell}`);
    mkdirSync(wrapper, { recursive: true });
    const real = join(bin, 'cdc');
    writeFileSync(
      join(wrapper, 'cdc'),
      `#!/bin/sh\nif [ "$1" = complete ]; then exec ${real} "$@"; fi\necho "GOT:$*:END"\n`,
    );
    chmodSync(join(wrapper, 'cdc'), 0o755);
    // A key that is typed before the prompt is there can be lost.
    const output = await onTerminal(directory, words, {
      steps: [
        [prompt, `${load}\r`],
        ['LOADED> ', typed],
        [lastPart(expected), '\r'],
        [':END', 'exit\r'],
      ],
      columns: 200,
      env: { ...env, PATH: `${wrapper}:${env.PATH}` },
    });
    expect(output).toContain(`GOT:${expected}:END`);
  });
});

/** What the terminal shows once the last key has completed. */
const lastPart = (words: string): string => words.split(' ').at(-1) as string;
