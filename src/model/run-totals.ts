import type { RecentDeadLetter } from './delivery-report.ts';
import { DeliveryTotals } from './delivery-totals.ts';
import { TablesActivity } from './table-activity.ts';

/** Dead letters that the status names. */
const RECENT_DEAD_LETTERS = 20;

/** What a daemon counts from its start to its end, over all of its pipelines. */
export class RunTotals {
  readonly delivery = new DeliveryTotals();
  readonly tables = new TablesActivity();
  /** The newest first. */
  readonly deadLetters: RecentDeadLetter[] = [];

  deadLettered(letter: RecentDeadLetter): void {
    this.deadLetters.unshift(letter);
    this.deadLetters.length = Math.min(this.deadLetters.length, RECENT_DEAD_LETTERS);
  }
}
