import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import LongestFirst from './test/longest-first.ts';

export default defineConfig({
  test: {
    reporters: ['default', './test/reporter.ts'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'test/unit/**/*.test.ts',
            'test/model/**/*.test.ts',
            'test/golden/**/*.test.ts',
            'test/architecture.test.ts',
            'test/repository.test.ts',
            'test/style.test.ts',
            // Not a test: it writes what the golden tests compare with.
            ...(process.env.CDC_GOLDEN ? ['test/golden/record.ts'] : []),
          ],
          // A busy machine must not fail a test; each ends by itself.
          testTimeout: 60_000,
          // They only compute. Vitest would leave a core idle.
          maxWorkers: availableParallelism(),
          // Its modules import folders, which Node itself does not resolve.
          server: { deps: { inline: ['dt-sql-parser'] } },
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          include: [
            'test/integration/**/*.test.ts',
            'test/contract/**/*.test.ts',
            // Not a test: `npm run screenshots`.
            ...(process.env.CDC_SCREENSHOTS ? ['test/integration/dashboard/screenshots.ts'] : []),
          ],
          globalSetup: './test/global-setup.ts',
          // They only end what hangs: a busy machine must not fail a test.
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // They mostly wait for servers, more of them than there are cores.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          globalSetup: './test/chaos/build.ts',
          // A run keeps less than one core busy, and has pauses of seconds.
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
