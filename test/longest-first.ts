import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that take longest, first the longest. One that begins last keeps the run waiting while the other workers are
 * idle. Vitest knows durations only of earlier runs in the same clone, and begins with the largest files otherwise.
 */
const LONGEST = [
  'test/chaos/chaos.test.ts',
  'test/chaos/ordered-logs.test.ts',
  'test/chaos/crash-points.test.ts',
  'test/chaos/verify.test.ts',
  'test/integration/kafka/connect-json.test.ts',
  'test/integration/source.test.ts',
  'test/integration/checkpoint-stores.test.ts',
  'test/integration/standby.test.ts',
  'test/integration/kafka/order.test.ts',
  'test/contract/kafka.test.ts',
  'test/integration/deploy/disasters.test.ts',
  'test/integration/package.test.ts',
  'test/integration/verify/forms.test.ts',
  'test/integration/secrets.test.ts',
  'test/integration/failover.test.ts',
  'test/integration/verify/waiting.test.ts',
  'test/integration/kafka/run.test.ts',
  'test/integration/verify/verify.test.ts',
  'test/integration/fleet.test.ts',
  'test/integration/verify/options.test.ts',
  'test/integration/admin/provoked.test.ts',
  'test/integration/backfill/awkward-tables.test.ts',
  'test/integration/run.test.ts',
  'test/integration/local-mysql.test.ts',
  'test/integration/warehouse/merge.test.ts',
  'test/integration/backfill/repair.test.ts',
  'test/integration/warehouse/changed-tables.test.ts',
  'test/integration/docs-commands.test.ts',
  'test/integration/kafka/security.test.ts',
  'test/integration/backfill/coverage.test.ts',
  'test/integration/status-command.test.ts',
  'test/integration/gtid-mode.test.ts',
  'test/integration/kafka/retries.test.ts',
  'test/integration/iam-auth.test.ts',
  'test/integration/kafka/kafka-server.test.ts',
  'test/model/delivery.test.ts',
  'test/model/backfill.test.ts',
  'test/unit/sinks/kinesis/resharding.test.ts',
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
