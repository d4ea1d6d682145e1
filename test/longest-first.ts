import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that take longest, first the longest. One that begins last keeps the run waiting while the other workers are
 * idle. Vitest knows durations only of earlier runs in the same clone, and begins with the largest files otherwise.
 */
const LONGEST = [
  'test/chaos/chaos.test.ts',
  'test/chaos/crash-points.test.ts',
  'test/integration/source.test.ts',
  'test/integration/run.test.ts',
  'test/integration/verify/waiting.test.ts',
  'test/integration/warehouse/merge.test.ts',
  'test/integration/verify/types.test.ts',
  'test/integration/failover.test.ts',
  'test/integration/warehouse/random-merge.test.ts',
  'test/integration/type-oracle.test.ts',
  'test/integration/redshift-destination.test.ts',
  'test/integration/backfill/awkward-tables.test.ts',
  'test/integration/backfill/request-life.test.ts',
  'test/integration/backfill/commit-order.test.ts',
  'test/integration/unnamed-columns.test.ts',
  'test/integration/backfill/coverage.test.ts',
  'test/model/delivery.test.ts',
  'test/model/backfill.test.ts',
  'test/unit/aws/wrong-stacks.test.ts',
  'test/unit/warehouse/script.test.ts',
  'test/unit/codec/values/string-column.test.ts',
];

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((path) => moduleId.endsWith(`/${path}`));
      return at === -1 ? LONGEST.length : at;
    };
    // Groups stay in their order: the sort is stable within each.
    const group = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    return (await super.sort(files)).sort((a, b) => group(a) - group(b) || rank(a) - rank(b));
  }
}
