import type { ReadSession } from './session.ts';
import type { SnapshotConnectionOptions } from './snapshot-options.ts';

export async function checkReplica(_session: ReadSession, _options: SnapshotConnectionOptions): Promise<void> {}
