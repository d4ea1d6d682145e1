import type { Random } from '../../src/local/demo/random.ts';
import type { Change } from './expected-changes.ts';
import type { KeyModel, KeyState } from './key-model.ts';
import type { Plan } from './planner.ts';
import { XA_ROWS } from './tables.ts';
import type { TransactionDraft } from './transaction-draft.ts';

/** An XA transaction that is prepared, or was. */
interface PendingXa {
  xid: string;
  changes: Change[];
  overlay: ReadonlyMap<string, KeyState>;
  keys: number[];
  commit: boolean;
  /** How many plans it stays prepared. */
  rest: number;
  /** A binlog that is not younger than the one that holds its rows. */
  from: string;
  /** The transaction that ended it. */
  endedBy?: string;
}

export interface XaWorkloadOptions {
  random: Random;
  /** A binlog that is not younger than the one that is written now. */
  binlog: () => string;
}

/** The XA transactions of one client: prepared, and much later, perhaps behind a restart of the server, committed or rolled back. */
export class XaWorkload {
  readonly #options: XaWorkloadOptions;
  readonly #model: KeyModel;
  #prepared: PendingXa[] = [];
  /** Whose rows the daemon may still need, although they are no longer prepared. */
  #ended: PendingXa[] = [];

  constructor(options: XaWorkloadOptions, model: KeyModel) {
    this.#options = options;
    this.#model = model;
  }

  /** The oldest binlog with rows that are not delivered; undefined for none. */
  oldestBinlog(isDelivered: (gtid: string) => boolean): string | undefined {
    this.#ended = this.#ended.filter(({ endedBy = '' }) => !isDelivered(endedBy));
    return [...this.#prepared, ...this.#ended].map(({ from }) => from).sort()[0];
  }

  /** Another plan is due: the end of one that has been prepared for long enough; undefined when there is none. */
  due(): Plan | undefined {
    for (const pledge of this.#prepared) pledge.rest--;
    const over = this.#prepared.find(({ rest }) => rest <= 0);
    return over && this.#end(over);
  }

  /** Ends what is prepared; undefined when nothing is. */
  end(): Plan | undefined {
    const [pledge] = this.#prepared;
    return pledge && this.#end(pledge);
  }

  /** XA START to XA PREPARE. Its rows are true from XA COMMIT on, if ever. Undefined when too many keys wait for that. */
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
    const rest = random.chance(0.5) ? 1 : random.below(40);
    const pledge: PendingXa = { xid, changes, overlay: draft.keys.overlay, keys, commit, rest, from: binlog() };
    return {
      name: 'XA PREPARE',
      statements: [`XA START ${xid}`, ...statements, `XA END ${xid}`, `XA PREPARE ${xid}`],
      changes: [],
      overlay: new Map(),
      ends: 'commit',
      done: () => this.#prepared.push(pledge),
    };
  }

  #end(pledge: PendingXa): Plan {
    const { xid, commit, changes, overlay } = pledge;
    return {
      name: commit ? 'XA COMMIT' : 'XA ROLLBACK',
      statements: [`XA ${commit ? 'COMMIT' : 'ROLLBACK'} ${xid}`],
      changes,
      overlay: commit ? overlay : new Map(),
      ends: 'commit',
      done: (gtid) => {
        this.#prepared = this.#prepared.filter((other) => other !== pledge);
        this.#ended.push({ ...pledge, endedBy: gtid });
        if (!commit) this.#model.skipVersions(overlay);
      },
    };
  }
}
