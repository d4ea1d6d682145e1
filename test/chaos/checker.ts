import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CallLogEntry } from '../../src/local/firehose/call-log.ts';
import type { TcpProxy } from '../tcp-proxy.ts';
import { checkCheckpoint, lagOf, type SeenCheckpoint } from './checkpoint-checker.ts';
import { DeliveryChecker } from './delivery-checker.ts';
import { type Expected, ExpectedChanges } from './expected-changes.ts';
import { contains, type GtidIntervals, parseGtids } from './gtid-intervals.ts';
import type { Findings, SinkCounts } from './report.ts';
import { compareWithSource } from './source-compare.ts';
import type { Violation } from './violation.ts';

export interface JudgeOptions {
  /** Where the daemon keeps its checkpoint and dead letters, in `state`. */
  directory: string;
  stopAtFirst: boolean;
  print: (line: string) => void;
}

/** Of one kind of violation so many are kept with their evidence. */
const MOST_VIOLATIONS = 20;
const REPEATS_EVERY_MS = 1_500;

/** Sees what the workload wanted, what reached the sink and what the daemon left on the disk, and holds it against what is promised. */
export class Checker {
  readonly intents = new ExpectedChanges();
  readonly check: DeliveryChecker;
  readonly violations: Violation[] = [];
  readonly violationCounts: Record<string, number> = {};
  readonly sink: SinkCounts = { calls: 0, faulty: 0, byFault: {} };
  readonly #options: JudgeOptions;
  readonly #stop = new AbortController();
  readonly #deadLetters = new Set<string>();
  #checkpoint: SeenCheckpoint | undefined;
  #checkpointsChecked = 0;
  #rowsCompared = 0;
  #callLog: string[] = [];

  constructor(options: JudgeOptions) {
    this.#options = options;
    this.check = new DeliveryChecker(this.intents, this.report);
  }

  /** Aborts at the first violation, where that is wanted. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** The binlog that the last checkpoint which was looked at stands in. */
  get binlog(): string {
    return this.#checkpoint?.file ?? '';
  }

  get findings(): Findings {
    return {
      ok: this.violations.length === 0,
      sink: this.sink,
      events: this.check.counts,
      checkpointsChecked: this.#checkpointsChecked,
      rowsCompared: this.#rowsCompared,
      violationCounts: this.violationCounts,
      violations: this.violations,
    };
  }

  report = (violation: Violation): void => {
    const kind = `${violation.promise} ${violation.what.replace(/\d+/g, 'N')}`;
    const count = (this.violationCounts[kind] = (this.violationCounts[kind] ?? 0) + 1);
    if (count <= MOST_VIOLATIONS) this.violations.push({ ...violation, at: new Date().toISOString() });
    if (count === 1)
      this.#options.print(`VIOLATION ${violation.promise}: ${violation.what}\n${JSON.stringify(violation.evidence)}`);
    if (this.#options.stopAtFirst) this.#stop.abort();
  };

  /** The sink has decided on a call, and is about to answer. */
  called({ call, at, fault, answered, records }: CallLogEntry): void {
    this.sink.calls++;
    if (fault !== null) {
      this.sink.faulty++;
      this.sink.byFault[fault] = (this.sink.byFault[fault] ?? 0) + 1;
    }
    const time = Date.parse(at);
    const slow = fault === 'slow';
    const slots: string[] = [];
    for (const { stored, accepted, code, data } of records) {
      this.check.record(data, { call, at: time, stored, accepted, slow });
      slots.push(`${stored ? 's' : '-'}${accepted ? 'a' : (code ?? '-')[0]}`);
    }
    this.#callLog.push(`${call} ${at} ${fault ?? '-'} ${answered} ${slots.join(' ')}\n`);
  }

  /** What every call was, without its data: enough to follow a violation through the daemon's log. */
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

  explainRepeats(link: TcpProxy, before = Date.now() - REPEATS_EVERY_MS): void {
    this.check.repeats.explain(before, link.lostAnswers);
  }

  /** checkpointNotAhead; called whenever the daemon is dead. */
  checkCheckpoint(): void {
    this.#checkpointsChecked++;
    this.#readDeadLetters();
    const isOurs = (source: string): boolean => source.startsWith('c0000000-');
    const seen = checkCheckpoint(this.#readCheckpoint(), this.#checkpoint, this.intents, isOurs, this.report);
    this.#checkpoint = seen ?? this.#checkpoint;
  }

  /** The transactions that the checkpoint lacks of those that the server has executed. */
  lag(executed: string): GtidIntervals {
    this.#readDeadLetters();
    return lagOf(this.#readCheckpoint(), executed);
  }

  /**
   * Everything before this binlog may be purged: the checkpoint on disk is behind it, and so is every open XA transaction.
   * @param ofPrepared the binlog of the oldest of those, by what is delivered
   */
  neededBinlog(ofPrepared: (isDelivered: (gtid: string) => boolean) => string | undefined): string | undefined {
    const text = this.#readCheckpoint();
    if (text === '') return undefined;
    const { file, gtids } = JSON.parse(text) as { file: string; gtids: string };
    const delivered = parseGtids(gtids);
    return [file, ofPrepared((gtid) => contains(delivered, gtid)) ?? file].sort()[0];
  }

  /** The fold against the source, value for value. */
  async compare(url: string): Promise<void> {
    this.#rowsCompared += await compareWithSource(url, this.check.fold, this.report);
  }

  /** Forgets what is over; only when everything has been checked and nobody sends anything any more. */
  prune(): void {
    this.check.prune();
    this.intents.prune();
    // As an operator would before they take too much room.
    rmSync(join(this.#options.directory, 'state', 'dead-letter'), { recursive: true, force: true });
    this.#deadLetters.clear();
  }

  #readCheckpoint(): string {
    try {
      return readFileSync(join(this.#options.directory, 'state', 'chaos.json'), 'utf8');
    } catch {
      return '';
    }
  }

  /** Dead letters that are new; each is read once. */
  #readDeadLetters(): void {
    const folder = join(this.#options.directory, 'state', 'dead-letter');
    if (!existsSync(folder)) return;
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.json') || this.#deadLetters.has(name)) continue;
      this.#deadLetters.add(name);
      const { event } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { event: string };
      this.check.deadLetter(event);
    }
  }
}
