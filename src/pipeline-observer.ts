import type { PipelineObservation } from './admin/status.ts';
import type { MergePoint } from './backfill/merge/merge-point.ts';
import type { Checkpointer } from './checkpoint/checkpointer.ts';
import { sourceConnection } from './config/source-connection.ts';
import type { DescribeEvent } from './delivery/acceptance.ts';
import type { Delivery } from './delivery/delivery.ts';
import type { Coordinates } from './model/coordinates.ts';
import { LagTracker, type ReadProgress } from './model/lag.ts';
import { PURGE_UNKNOWN, type PurgeStatus, purgeStatus } from './model/purge.ts';
import type { StreamStatus } from './model/stream-status.ts';
import { asCdcError, type CdcError } from './runtime/error.ts';
import type { Log } from './runtime/log.ts';
import type { ChangeStream } from './source/change-stream.ts';
import type { SelectedHost } from './source/select-host.ts';
import { monitorBinlog } from './source/server/binlog-monitor.ts';

export interface ObservedParts {
  selected: SelectedHost;
  source: ChangeStream;
  merge: MergePoint;
  delivery: Delivery;
  checkpointer: Checkpointer;
  describeEvent: DescribeEvent;
  /** When the checkpoint was saved that the pipeline starts from, in milliseconds since 1970. */
  savedAt: number | undefined;
  signal: AbortSignal;
  /** Why the pipeline ends; undefined while it does not, or if it was asked to. */
  failure: () => CdcError | undefined;
  log: Log;
}

const MONITOR_HINT = 'the stream continues; the lag in bytes and the purge headroom are those of the last answer';

/** Shows how far a pipeline is and how it is. Nothing in the data flow waits for it. */
export class PipelineObserver {
  readonly #parts: ObservedParts;
  readonly #lag: LagTracker;
  #answeredAt = Date.now();
  /** The last error of the monitor, so that each is logged once. */
  #reported: string | undefined;

  constructor(parts: ObservedParts) {
    this.#parts = parts;
    this.#lag = new LagTracker(parts.savedAt ?? Date.now());
  }

  /** Asks the server again and again, until the signal aborts. */
  monitor(): Promise<void> {
    const { selected, delivery, signal } = this.#parts;
    return monitorBinlog({
      connection: () => sourceConnection(selected.config.source),
      server: selected.server,
      needsFiles: (end) => end.file !== delivery.delivered.file,
      onObservation: (observation) => {
        this.#answeredAt = observation.at;
        this.#reported = undefined;
        this.#lag.observed(observation, this.#progress);
      },
      onFailure: (error, answered) => {
        if (answered) this.#answeredAt = Date.now();
        const { message } = asCdcError(error);
        if (answered && message !== this.#reported) {
          this.#parts.log.warn({ why: message, hint: MONITOR_HINT }, 'the server does not say where its binlog ends');
        }
        this.#reported = message;
      },
      signal,
    });
  }

  observe(): PipelineObservation {
    const { delivery, checkpointer, describeEvent, savedAt, failure } = this.#parts;
    const now = Date.now();
    const progress = this.#progress;
    return {
      stream: this.stream(),
      failure: failure(),
      lag: { seconds: this.#lag.seconds(progress, now), bytes: this.#lag.bytes(progress) },
      silentSeconds: Math.max(0, now - this.#answeredAt) / 1000,
      purge: this.#purge(now),
      checkpointSavedAt: checkpointer.savedAt ?? savedAt,
      delivery: delivery.status(describeEvent),
    };
  }

  stream(): StreamStatus {
    const { server, start, host } = this.#parts.selected;
    const { coordinates, gtids } = this.#parts.delivery.delivered;
    return {
      server: { flavor: server.flavor, identity: server.identity, host },
      epoch: start.epoch,
      delivered: { ...coordinates, gtids: gtids?.toString() ?? null },
    };
  }

  get #progress(): ReadProgress {
    const { source, merge, delivery } = this.#parts;
    return {
      delivered: delivery.delivered.coordinates,
      read: source.boundary,
      oldestCommittedAt: delivery.oldestCommittedAt,
      lastCommittedAt: merge.hasRead ? merge.committedAt : undefined,
    };
  }

  #purge(now: number): PurgeStatus {
    const { delivery } = this.#parts;
    const observation = this.#lag.observation;
    if (observation === undefined) return PURGE_UNKNOWN;
    const checkpoint = delivery.delivered.coordinates;
    // A GTID set alone has no coordinates before its first transaction.
    if (checkpoint.file === '') return { ...PURGE_UNKNOWN, retentionSeconds: observation.retentionSeconds };
    return purgeStatus(checkpoint, observation, this.#writtenUntil(checkpoint), now + observation.clockAheadMs);
  }

  /** How long the file of the checkpoint was written at least. */
  #writtenUntil({ file }: Coordinates): number | undefined {
    const { source, merge, delivery } = this.#parts;
    const next = source.createdAfter(file);
    if (next !== undefined) return next;
    const isRead = merge.hasRead && source.boundary?.file === file;
    const created = delivery.delivered.fingerprint?.created;
    const known = [...(isRead ? [merge.committedAt] : []), ...(created !== undefined ? [created * 1000] : [])];
    return known.length === 0 ? undefined : Math.max(...known);
  }
}
