import type { Edit } from '../edit.ts';
import type { Promised } from '../violation.ts';
import type { BlowName } from './blows.ts';
import type { StoreKind } from './store-under-test.ts';

/** A daemon with one deliberate bug of the standby, which the takeover run must find over this store. */
export interface TakeoverMutant {
  /** The first violation must be of one of these promises. */
  breaks: readonly Promised[];
  edits: readonly Edit[];
  store: StoreKind;
  blows: readonly BlowName[];
}

const edit = (file: string, from: string, to: string): Edit => ({ file, from, to });

export const TAKEOVER_MUTANTS: Readonly<Record<string, TakeoverMutant>> = {
  'sends whether or not its lease can have ended': {
    breaks: ['oneLeader', 'boundedRepeats'],
    ...{ store: 'dynamodb', blows: ['blackholeStore'] },
    edits: [
      edit(
        'checkpoint/leadership',
        'return !this.#isReleased && !this.lost.aborted && performance.now() < monotonic && Date.now() < wall;',
        'return monotonic > 0 && wall > 0;',
      ),
    ],
  },
  'saves in DynamoDB whoever leads': {
    breaks: ['checkpointNotAhead'],
    ...{ store: 'dynamodb', blows: ['stop'] },
    edits: [
      edit(
        'checkpoint/dynamodb-store',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
        '`${isHeld} AND saves < :saves`',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
        '`${isHeld} OR generation <> :generation OR #owner <> :owner`',
      ),
    ],
  },
  'takes a lost lease for one that it has': {
    breaks: ['oneLeader', 'takeover', 'boundedRepeats'],
    ...{ store: 'dynamodb', blows: ['stop'] },
    edits: [
      edit(
        'checkpoint/leadership',
        'if (await this.#counted(() => this.#lease.renew()))',
        'await this.#lease.renew();',
      ),
      edit('checkpoint/leadership', 'throw this.#lose();', 'return;'),
      edit('checkpoint/leadership', 'else if (!this.#isReleased)', 'if (this.#isReleased)'),
    ],
  },
  'takes the lock of a process that runs': {
    breaks: ['oneLeader', 'takeover', 'checkpointNotAhead'],
    ...{ store: 'file', blows: ['killStandby'] },
    edits: [
      edit('checkpoint/file-store', 'heldBy.isCertain || (await this.#isTouched())', 'false'),
      edit('runtime/file-lock', 'if (owner !== self && (await isRunning(owner, pid)))', 'if (false)'),
    ],
  },
  'begins a new epoch when it takes over': {
    breaks: ['sameRedelivery'],
    ...{ store: 'file', blows: ['kill'] },
    edits: [
      edit('source/start-point', 'Math.max(saved.epoch + 1, newEpoch) : saved.epoch;', 'newEpoch : saved.epoch + 1;'),
    ],
  },
  'prefers the checkpoint that it remembers': {
    breaks: ['checkpointNotAhead', 'boundedRepeats'],
    ...{ store: 'mysql', blows: ['stop'] },
    edits: [
      edit(
        'checkpoint/leadership',
        'if (state.checkpoint !== undefined || checkpoint === undefined)',
        'if (checkpoint === undefined)',
      ),
    ],
  },
  'ends once it has lost its lease': {
    breaks: ['loudStop'],
    ...{ store: 'mysql', blows: ['steal'] },
    edits: [
      edit(
        'daemon',
        'if (leadership.lost.aborted) {',
        'if (leadership.lost.aborted) throw error;\n            if (leadership.lost.aborted) {',
      ),
    ],
  },
  'waits 15 s for a leader that died': {
    breaks: ['takeover'],
    ...{ store: 'dynamodb', blows: ['kill'] },
    edits: [
      edit('checkpoint/checkpoint-store', 'export const LEASE_TTL_MS = 5_000;', 'export const LEASE_TTL_MS = 15_000;'),
    ],
  },
};
