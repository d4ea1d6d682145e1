import { hostname } from 'node:os';
import type { LeaseHolder } from './checkpoint/checkpoint-store.ts';
import type { Leadership, LeaseListener } from './checkpoint/leadership.ts';
import { holderText, type LeaseStatus } from './model/lease-status.ts';
import type { CdcError } from './runtime/error.ts';
import type { Log } from './runtime/log.ts';

/** What a daemon knows of its lease, for its log and its status. */
export class LeaseState implements LeaseListener {
  readonly #location: string;
  readonly #log: Log;
  readonly #onStandBy: () => void;
  #leadership: Leadership | undefined;
  #holder: LeaseHolder | undefined;
  #lost = 0;
  #storeErrors = 0;
  #storeError: { error: CdcError; since: string } | undefined;
  /** Whether another process led since this one started. */
  hasStoodBy = false;

  /** @param onStandBy called each time that another process of this host begins to lead */
  constructor(location: string, log: Log, onStandBy: () => void) {
    this.#location = location;
    this.#log = log;
    this.#onStandBy = onStandBy;
  }

  get status(): LeaseStatus {
    const { error, since } = this.#storeError ?? {};
    const holder = this.#leadership === undefined ? this.#holder : { host: null, pid: process.pid };
    return {
      leads: this.#leadership !== undefined,
      confirmed: this.#leadership?.holds() ?? false,
      holder: holder === undefined ? null : { host: holder.host, pid: holder.pid },
      generation: this.#leadership?.generation ?? null,
      lost: this.#lost,
      storeErrors: this.#storeErrors,
      storeError:
        error === undefined || since === undefined
          ? null
          : { message: error.message, why: error.why ?? null, hint: error.hint ?? null, since },
    };
  }

  onHeld(holder: LeaseHolder): void {
    // The leader of this host has the socket and the port, whoever led before.
    if (holder.host === null || holder.host === hostname()) this.#onStandBy();
    this.#holder = holder;
    this.hasStoodBy = true;
    this.#log.info({ checkpoint: this.#location }, `standing by: ${holderText(holder)} leads`);
  }

  onAcquired(leadership: Leadership): void {
    this.#leadership = leadership;
    this.#holder = undefined;
    const generation = leadership.generation === null ? {} : { generation: leadership.generation };
    this.#log.info({ checkpoint: this.#location, ...generation }, 'this process leads');
  }

  onLost(): void {
    this.#leadership = undefined;
    this.hasStoodBy = true;
    this.#lost++;
  }

  onStoreError(error: CdcError | undefined): void {
    if (error === undefined) {
      this.#storeError = undefined;
      return;
    }
    this.#storeErrors++;
    // Each error once, and not with each try.
    if (this.#storeError?.error.why === error.why) return;
    this.#storeError = { error, since: new Date().toISOString() };
    this.#log.warn({ why: error.why, hint: error.hint }, error.message);
  }

  onRestored(): void {
    const hint = 'look who removed it; this process remembered it, so that nothing is lost';
    this.#log.warn({ checkpoint: this.#location, hint }, 'the checkpoint was removed, and is written again');
  }
}
