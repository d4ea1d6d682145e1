import type { Reporter, TestModule } from 'vitest/node';

/**
 * Ends the output with `N passed, N failed` alone on a line. What kept tests from running counts as failed: a file or
 * suite that could not be loaded or set up, an error outside of any test, a run without a test.
 */
export default class Tally implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[], reason: string): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      count.failed += module.errors().length;
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
      for (const test of module.children.allTests()) count[test.result().state] += 1;
    }
    // Tests that never came to run, after a broken hook or an interrupt, were not passed.
    const skipped = count.skipped + count.pending;
    if (count.failed === 0 && (reason !== 'passed' || count.passed === 0)) count.failed = 1;
    const line = `${count.passed} passed, ${count.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
    // Vitest itself may still have something to say, a failed global setup for one.
    process.once('exit', () => process.stdout.write(`${line}\n`));
  }
}
