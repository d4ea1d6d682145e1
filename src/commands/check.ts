import { Command } from 'commander';
import type { Finding } from '../model/finding.ts';

interface CheckOptions {
  config: string;
  json?: boolean;
}

export const checkCommand = (signal: AbortSignal): Command =>
  new Command('check')
    .description('Checks server settings, grants, tables, stream and checkpoint; names every problem and its fix.')
    .option('-c, --config <file>', 'the configuration', 'cdc.yaml')
    .option('--json', 'print {"ok", "problems": [{"severity", "what", "why", "fix"}]}')
    .addHelpText(
      'after',
      '\nExit code 3 when something is an error, 0 otherwise.\n\nExample:\n  cdc check -c shop.yaml',
    )
    .action(async ({ config, json }: CheckOptions) => {
      const { loadConfig } = await import('../config/load.ts');
      const loaded = loadConfig(config);
      const { checkStart } = await import('../preflight/start-position.ts');
      const { preflight } = await import('../preflight/preflight.ts');
      const problems = [...(await checkStart(loaded, signal)), ...(await preflight(loaded, signal))];
      const ok = problems.every(({ severity }) => severity !== 'error');
      process.stdout.write(json ? jsonReport(ok, problems) : formatFindings(problems));
      if (!ok) process.exitCode = 3;
    });

/** The fields keep their names: scripts read them. */
function jsonReport(ok: boolean, findings: readonly Finding[]): string {
  const problems = findings.map(({ transient, ...rest }) => (transient ? { ...rest, passing: true } : rest));
  return `${JSON.stringify({ ok, problems }, null, 2)}\n`;
}

/** The problems for a person, errors first, and a line that sums up. */
export function formatFindings(problems: readonly Finding[]): string {
  const listed = (['error', 'warning'] as const).flatMap((severity) =>
    problems
      .filter((problem) => problem.severity === severity)
      .map(({ what, why, fix }) => `${severity}: ${what}\n  why: ${why}\n  do:  ${fix}\n\n`),
  );
  const count = (severity: Finding['severity']) => {
    const n = problems.filter((problem) => problem.severity === severity).length;
    return `${n} ${severity}${n === 1 ? '' : 's'}`;
  };
  const verdict = problems.some(({ severity }) => severity === 'error')
    ? 'cdc run would not work'
    : 'cdc run can start';
  return `${listed.join('')}${count('error')}, ${count('warning')}: ${verdict}\n`;
}
