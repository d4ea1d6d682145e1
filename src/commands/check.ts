import { Command } from 'commander';
import type { Config } from '../config/schema.ts';
import type { Finding } from '../model/finding.ts';
import type { VerifiedTable } from '../model/verified-tables.ts';

interface CheckOptions {
  config: string;
  json?: boolean;
}

export const checkCommand = (signal: AbortSignal): Command =>
  new Command('check')
    .description('Checks server settings, grants, tables, streams and checkpoint. Reports each problem with its fix.')
    .option('-c, --config <file>', 'the configuration file', 'cdc.yaml')
    .option('--json', 'print {"ok", "problems": [{"severity", "what", "why", "fix"}], "verified": [...]}')
    .addHelpText('after', '\nExit code 3 if there is an error, otherwise 0.\n\nExample:\n  cdc check -c shop.yaml')
    .action(async ({ config, json }: CheckOptions) => {
      const { loadConfig } = await import('../config/load.ts');
      await checkAndPrint(loadConfig(config), json === true, signal);
    });

/** Prints everything that is wrong. Sets the exit code 3 if `cdc run` could not start. @returns whether it could */
export async function checkAndPrint(config: Config, json: boolean, signal: AbortSignal): Promise<boolean> {
  const { checkStart } = await import('../preflight/start-position.ts');
  const { preflight } = await import('../preflight/preflight.ts');
  const { findings: ofStart, verified } = await checkStart(config, signal);
  const findings = [...ofStart, ...(await preflight(config, signal))];
  const ok = findings.every(({ severity }) => severity !== 'error');
  const { equalTables } = await import('../preflight/check-coverage.ts');
  process.stdout.write(json ? jsonReport(ok, findings, verified) : formatFindings(findings, equalTables(verified)));
  if (!ok) process.exitCode = 3;
  return ok;
}

/** The keys `problems` and `passing` keep their names: scripts read them. */
function jsonReport(ok: boolean, findings: readonly Finding[], verified: readonly VerifiedTable[]): string {
  const problems = findings.map(({ transient, ...rest }) => (transient ? { ...rest, passing: true } : rest));
  const results = verified.map(({ hasEarlier, ...result }) => result);
  return `${JSON.stringify({ ok, problems, verified: results }, null, 2)}\n`;
}

/** The findings as text, errors first; a line for each table that is equal; a line with the number of findings. */
export function formatFindings(findings: readonly Finding[], equal: readonly string[] = []): string {
  const ofSeverity = (severity: Finding['severity']) => findings.filter((finding) => finding.severity === severity);
  const paragraphs = (['error', 'warning'] as const).flatMap((severity) =>
    ofSeverity(severity).map(({ what, why, fix }) => `${severity}: ${what}\n  why: ${why}\n  do:  ${fix}\n\n`),
  );
  const count = (severity: Finding['severity']) => {
    const n = ofSeverity(severity).length;
    return `${n} ${severity}${n === 1 ? '' : 's'}`;
  };
  const verdict = ofSeverity('error').length > 0 ? 'cdc run would not work' : 'cdc run can start';
  const equalLines = equal.length > 0 ? `${equal.join('\n')}\n\n` : '';
  return `${paragraphs.join('')}${equalLines}${count('error')}, ${count('warning')}: ${verdict}\n`;
}
