import type { ReadSession } from './session.ts';
import type { SnapshotConnectionOptions } from './snapshot-connection.ts';

export async function checkReplica(_session: ReadSession, _options: SnapshotConnectionOptions): Promise<void> {}
