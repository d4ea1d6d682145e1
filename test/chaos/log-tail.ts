import type { DeliveryChecker } from './delivery-checker.ts';
import type { EventLog } from './event-log.ts';
import { LogChecker } from './log-checker.ts';
import type { Report } from './violation.ts';

const POLL_MS = 500;

/** Reads an ordered log while it grows, and checks what it has read. */
export class LogTail {
  readonly #log: EventLog;
  readonly #checker: LogChecker;
  readonly #delivery: DeliveryChecker;
  readonly #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> = Promise.resolve();
  #isReading = false;
  #checks: (() => void)[] = [];

  constructor(log: EventLog, delivery: DeliveryChecker, report: Report) {
    this.#log = log;
    this.#delivery = delivery;
    this.#checker = new LogChecker(log, report);
    if (log.isOnlyWitness) this.#timer = setInterval(() => void this.#poll(), POLL_MS);
  }

  /** Events that were read. */
  get events(): number {
    return this.#checker.events;
  }

  /** Calls `check` when all is read that is stored now. */
  afterReading(check: () => void): void {
    this.#checks.push(check);
  }

  /** Reads what is stored now. */
  read(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#readNew());
    return this.#reading;
  }

  /** Checks that the log is complete, and forgets what was checked. Call it only while nobody sends anything. */
  async endOfRound(clear: () => Promise<void>): Promise<void> {
    await this.read();
    const { storedByCalls } = this.#log;
    this.#checker.checkEnd(storedByCalls);
    await clear();
    this.#checker.prune({ isNew: storedByCalls !== undefined });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading.catch(() => {});
  }

  async #poll(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    await this.read();
    this.#isReading = false;
  }

  async #readNew(): Promise<void> {
    const checks = this.#checks;
    this.#checks = [];
    const events = await this.#log.readNew();
    this.#checker.add(events);
    if (this.#log.isOnlyWitness) {
      for (const { line, at, offset } of events) {
        const delivered = { call: Number(offset), at, stored: true, accepted: true, slow: false };
        this.#delivery.record(Buffer.from(`${line}\n`), delivered);
      }
    }
    for (const check of checks) check();
  }
}
