import type { ChaosOptions } from './chaos-run.ts';
import type { Edit } from './edit.ts';
import type { Mutant } from './mutants.ts';

/** Bugs of the transports that keep an ordered log. */

const kinesis = { sink: 'kinesis', rate: 300, bulkRows: 500 } satisfies Partial<ChaosOptions>;

/** In a template. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is compiled code
const KEY = '${key.toString()}';

const edit = (file: string, from: string, to: string): Edit => ({ file, from, to });

export const LOG_MUTANTS: Readonly<Record<string, Mutant>> = {
  'puts two records of a key into a request of Kinesis': {
    breaks: ['keyOrder'],
    edits: [edit('sinks/kinesis/kinesis-sink', 'oneRecordPerKey = true;', 'oneRecordPerKey = false;')],
    options: kinesis,
  },
  'sends a log again what it has stored behind a record that failed': {
    breaks: ['boundedRepeats'],
    edits: [
      edit(
        'delivery/stream-sender',
        "this.#keepsStored = target.aggregation === 'off' && sink.isLog === true;",
        'this.#keepsStored = false;',
      ),
    ],
    options: kinesis,
  },
  'leaves the key of the row out of the partition key': {
    breaks: ['samePartition'],
    edits: [edit('sinks/kinesis/partition-key', KEY, '')],
    options: kinesis,
  },
};
