import type { Random } from '../../src/local/demo/random.ts';
import type { Change } from './expected-changes.ts';
import type { KeyModel, KeyState } from './key-model.ts';
import type { Plan } from './plan.ts';
import { XA_ROWS } from './tables.ts';
import type { TransactionDraft } from './transaction-draft.ts';

/** An XA transaction that is or was prepared. */
interface PendingXa {
  xid: string;
  changes: Change[];
  overlay: ReadonlyMap<string, KeyState>;
  keys: number[];
  commit: boolean;
  /** Plans of the client until it ends. */
  plansLeft: number;
  /** A binlog that is not newer than the one with its rows. */
  binlog: string;
  /** The GTID of the transaction that ended it. */
  endedBy?: string;
}

export interface XaWorkloadOptions {
  random: Random;
  /** A binlog that is not newer than the one that the server writes now. */
  binlog: () => string;
}

/** The XA transactions of one client. Each ends many plans after XA PREPARE, perhaps after a restart of the server. */
export class XaWorkload {
  readonly #options: XaWorkloadOptions;
  readonly #model: KeyModel;
  #prepared: PendingXa[] = [];
  /** Ended transactions whose rows the daemon can still need. */
  #ended: PendingXa[] = [];

  constructor(options: XaWorkloadOptions, model: KeyModel) {
    this.#options = options;
    this.#model = model;
  }

  /** The oldest binlog with rows that are not delivered. Undefined for none. */
  oldestBinlog(isDelivered: (gtid: string) => boolean): string | undefined {
    this.#ended = this.#ended.filter(({ endedBy = '' }) => !isDelivered(endedBy));
    return [...this.#prepared, ...this.#ended].map(({ binlog }) => binlog).sort()[0];
  }

  /** Returns the plan that ends a transaction if its time has come. Call it once for each plan of the client. */
  due(): Plan | undefined {
    for (const pending of this.#prepared) pending.plansLeft--;
    const due = this.#prepared.find(({ plansLeft }) => plansLeft <= 0);
    return due && this.#end(due);
  }

  /** Returns the plan that ends a prepared transaction. Undefined if none is prepared. */
  end(): Plan | undefined {
    const [pending] = this.#prepared;
    return pending && this.#end(pending);
  }

  /** XA START to XA PREPARE. XA COMMIT makes the rows real. Undefined if too many keys are already prepared. */
  prepare(xid: string, draft: TransactionDraft): Plan | undefined {
    const { random, binlog } = this.#options;
    const busy = new Set(this.#prepared.flatMap(({ keys }) => keys));
    const keys: number[] = [];
    const commit = random.chance(0.65);
    for (let i = 1 + random.below(3); i > 0; i--) {
      const k = draft.key(XA_ROWS);
      if (busy.has(k)) continue;
      keys.push(k);
      draft.writeKey(XA_ROWS, k, !commit);
    }
    const { statements, changes } = draft;
    if (statements.length === 0 || busy.size > 20) return undefined;
    const plansLeft = random.chance(0.5) ? 1 : random.below(40);
    const pending: PendingXa = { xid, changes, overlay: draft.keys.overlay, keys, commit, plansLeft, binlog: binlog() };
    return {
      name: 'XA PREPARE',
      statements: [`XA START ${xid}`, ...statements, `XA END ${xid}`, `XA PREPARE ${xid}`],
      changes: [],
      overlay: new Map(),
      ends: 'commit',
      done: () => this.#prepared.push(pending),
    };
  }

  #end(pending: PendingXa): Plan {
    const { xid, commit, changes, overlay } = pending;
    return {
      name: commit ? 'XA COMMIT' : 'XA ROLLBACK',
      statements: [`XA ${commit ? 'COMMIT' : 'ROLLBACK'} ${xid}`],
      changes,
      overlay: commit ? overlay : new Map(),
      ends: 'commit',
      done: (gtid) => {
        this.#prepared = this.#prepared.filter((other) => other !== pending);
        this.#ended.push({ ...pending, endedBy: gtid });
        if (!commit) this.#model.skipVersions(overlay);
      },
    };
  }
}
