import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkCheckpoint, lagOf, type SeenCheckpoint } from './checkpoint-checker.ts';
import { DeliveryChecker } from './delivery-checker.ts';
import { type Expected, ExpectedChanges } from './expected-changes.ts';
import { contains, type GtidIntervals, parseGtids } from './gtid-intervals.ts';
import type { Findings, SinkCounts } from './report.ts';
import type { SinkCall } from './sink-call.ts';
import { compareWithSource } from './source-compare.ts';
import type { TransportUnderTest } from './transport-under-test.ts';
import type { Violation } from './violation.ts';

export interface CheckerOptions {
  /** The daemon writes its checkpoint and dead letters to `state` in this directory. */
  directory: string;
  stopAtFirst: boolean;
  /** The text of the checkpoint, empty if there is none. Default: that of the file. */
  readCheckpoint?: () => string;
  /** Takes a line that is no event of the workload. */
  takesLine?: (line: string) => boolean;
  print: (line: string) => void;
}

/** The most violations of one kind that are kept with their evidence. */
const VIOLATIONS_PER_KIND_MAX = 20;
/** A repeat is explained after this time, when the daemon's log shows its start. */
const EXPLAIN_AFTER_MS = 1_500;

/** Compares what the workload committed, what reached the sink and what the daemon left on disk with the promises. */
export class Checker {
  readonly expectedChanges = new ExpectedChanges();
  readonly delivery: DeliveryChecker;
  readonly violations: Violation[] = [];
  readonly violationCounts: Record<string, number> = {};
  readonly sink: SinkCounts = { calls: 0, faulty: 0, byFault: {} };
  readonly #options: CheckerOptions;
  readonly #stop = new AbortController();
  readonly #deadLetters = new Set<string>();
  #checkpoint: SeenCheckpoint | undefined;
  #checkpointsChecked = 0;
  #rowsCompared = 0;
  #callLog: string[] = [];

  constructor(options: CheckerOptions) {
    this.#options = options;
    this.delivery = new DeliveryChecker(this.expectedChanges, this.report, options.takesLine);
  }

  /** Aborts at the first violation if `stopAtFirst` is set. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** The binlog of the last checkpoint that was checked. */
  get binlog(): string {
    return this.#checkpoint?.file ?? '';
  }

  get findings(): Findings {
    return {
      ok: this.violations.length === 0,
      sink: this.sink,
      events: this.delivery.counts,
      checkpointsChecked: this.#checkpointsChecked,
      rowsCompared: this.#rowsCompared,
      violationCounts: this.violationCounts,
      violations: this.violations,
    };
  }

  report = (violation: Violation): void => {
    const kind = `${violation.promise} ${violation.what.replace(/\d+/g, 'N')}`;
    const count = (this.violationCounts[kind] = (this.violationCounts[kind] ?? 0) + 1);
    if (count <= VIOLATIONS_PER_KIND_MAX) this.violations.push({ ...violation, at: new Date().toISOString() });
    if (count === 1) {
      this.#options.print(`VIOLATION ${violation.promise}: ${violation.what}\n${JSON.stringify(violation.evidence)}`);
    }
    if (this.#options.stopAtFirst) this.#stop.abort();
  };

  /** The sink has decided about a call and is about to answer it. */
  called({ call, at, fault, answered, records }: SinkCall): void {
    this.sink.calls++;
    if (fault !== null) {
      this.sink.faulty++;
      this.sink.byFault[fault] = (this.sink.byFault[fault] ?? 0) + 1;
    }
    const time = Date.parse(at);
    const slow = fault === 'slow';
    const slots: string[] = [];
    for (const { stored, accepted, code, data } of records) {
      this.delivery.record(data, { call, at: time, stored, accepted, slow });
      slots.push(`${stored ? 's' : '-'}${accepted ? 'a' : (code ?? '-')[0]}`);
    }
    this.#callLog.push(`${call} ${at} ${fault ?? '-'} ${answered} ${slots.join(' ')}\n`);
  }

  /** A fault of the transport that is of no call. */
  faulted(name: string): void {
    this.sink.byFault[name] = (this.sink.byFault[name] ?? 0) + 1;
  }

  /** Writes each call without its data. Together with the daemon's log this explains a violation. */
  writeCallLog(): void {
    if (this.#callLog.length === 0) return;
    appendFileSync(join(this.#options.directory, 'calls.log'), this.#callLog.join(''));
    this.#callLog = [];
  }

  phantom(events: Expected[]): void {
    this.report({
      promise: 'noPhantom',
      what: 'an event of a transaction that the server never committed',
      evidence: { events: events.slice(0, 5).map(({ change, tx, seq }) => ({ ...change, gtid: tx.gtid, seq })) },
    });
  }

  explainRepeats(link: Pick<TransportUnderTest, 'lostAnswers'>, before = Date.now() - EXPLAIN_AFTER_MS): void {
    this.delivery.repeats.explain(before, link.lostAnswers);
  }

  /** Checks `checkpointNotAhead`. Called whenever the daemon is dead. */
  checkCheckpoint(text = this.readCheckpoint()): void {
    this.#checkpointsChecked++;
    this.#readDeadLetters();
    const isOurs = (source: string): boolean => source.startsWith('c0000000-');
    const seen = checkCheckpoint(text, this.#checkpoint, this.expectedChanges, isOurs, this.report);
    this.#checkpoint = seen ?? this.#checkpoint;
  }

  /** Whether the last checkpoint that was checked contains this transaction. */
  isInCheckpoint(gtid: string): boolean {
    return this.#checkpoint !== undefined && contains(this.#checkpoint.gtids, gtid);
  }

  /** The transactions that the server has executed and the checkpoint lacks. */
  lag(executed: string): GtidIntervals {
    this.#readDeadLetters();
    return lagOf(this.readCheckpoint(), executed);
  }

  /**
   * The oldest binlog that the checkpoint on disk and the open XA transactions need. Older ones can be purged.
   * @param ofPrepared returns the oldest binlog of an XA transaction that is not delivered
   */
  neededBinlog(ofPrepared: (isDelivered: (gtid: string) => boolean) => string | undefined): string | undefined {
    const text = this.readCheckpoint();
    if (text === '') return undefined;
    const { file, gtids } = JSON.parse(text) as { file: string; gtids: string };
    const delivered = parseGtids(gtids);
    return [file, ofPrepared((gtid) => contains(delivered, gtid)) ?? file].sort()[0];
  }

  /** Checks `convergence`: compares the fold with the source. */
  async compare(url: string): Promise<void> {
    this.#rowsCompared += await compareWithSource(url, this.delivery.fold, this.expectedChanges.marks, this.report);
  }

  /** Forgets what was checked. Call it only while nobody sends anything. */
  prune(): void {
    this.delivery.prune();
    this.expectedChanges.prune();
    // Otherwise they reach dead_letter.max_bytes, which stops the daemon.
    rmSync(join(this.#options.directory, 'state', 'dead-letter'), { recursive: true, force: true });
    this.#deadLetters.clear();
  }

  readCheckpoint(): string {
    const { readCheckpoint } = this.#options;
    if (readCheckpoint) return readCheckpoint();
    try {
      return readFileSync(join(this.#options.directory, 'state', 'chaos.json'), 'utf8');
    } catch {
      return '';
    }
  }

  /** Reads the new dead letters, each once. */
  #readDeadLetters(): void {
    const folder = join(this.#options.directory, 'state', 'dead-letter');
    if (!existsSync(folder)) return;
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.json') || this.#deadLetters.has(name)) continue;
      this.#deadLetters.add(name);
      const { event } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { event: string };
      this.delivery.deadLetter(event);
    }
  }
}
