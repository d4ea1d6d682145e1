import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Delivery } from '../../src/delivery/delivery.ts';
import { checkDelivery, type MakeDelivery } from './delivery-model.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe.each([
  ['a GTID set', true],
  ['coordinates', false],
])('resumed by %s', (_, gtids) => {
  test('random transactions through failures and crashes fold to what the source holds', async () => {
    await checkDelivery(Delivery, gtids, 150);
  }, 60_000);
});

/** Bugs that were planted: a file of delivery/, what stands there, and what stands there instead. */
const BUGS: [name: string, file: string, from: string, to: string][] = [
  ['acknowledges whatever the sink says', 'delivery.ts', 'switch (outcome.kind)', "switch ('accepted' as string)"],
  [
    'acknowledges before it sends',
    'delivery.ts',
    'request.push(...packer.finish());',
    `request.push(...packer.finish());
    for (const shipment of request) for (const lane of shipment.lanes) this.#held -= lane.settle();`,
  ],
  [
    'moves the watermark over the transaction that waits',
    'ledger.ts',
    'entry.ordinal < oldest',
    'entry.ordinal <= oldest',
  ],
  [
    'takes the newest lane for the oldest',
    'delivery.ts',
    'Math.min(oldest, lane.oldestTransaction)',
    'lane.oldestTransaction',
  ],
  ['loses a record that failed', 'delivery.ts', 'this.#again.push(shipment);', ''],
  ['swallows a failure', 'delivery.ts', 'return this.#retryLater(shipment);', 'return;'],
  ['never arms the linger timer again', 'delivery.ts', 'this.#linger = undefined;', ''],
  ['lets two slices of a lane fly', 'delivery.ts', 'if (lane.inFlight || ', 'if ('],
  [
    'takes nothing back at a rollback',
    'delivery.ts',
    'this.#takeBack(this.#first);\n  }\n\n  savepoint',
    '}\n\n  savepoint',
  ],
  ['forgets where a savepoint was', 'delivery.ts', 'this.#part++;', ''],
  ['takes back too little', 'event-marks.ts', '>= transaction', '> transaction'],
  [
    'counts a prepared transaction as delivered',
    'ledger.ts',
    'this.#prepared++;',
    'this.#delivered.advance(transaction);',
  ],
  [
    'counts it among GTIDs as delivered',
    'ledger.ts',
    'instanceof GtidSet) return;',
    'instanceof GtidSet) return this.#delivered.advance(transaction);',
  ],
  ['unties the knot while one is prepared', 'ledger.ts', 'if (this.#prepared > 0) return false;', ''],
  ['forgets those without rows', 'ledger.ts', 'if (entry.followers) ', 'if (false as boolean) '],
  ['knows no pressure', 'delivery.ts', 'this.#press(true);', ';'],
  ['never lets go of the pressure', 'delivery.ts', 'this.#press(false);', ';'],
  [
    'settles one event too few',
    'lane.ts',
    'this.#marks.dropOldest(this.#flightEvents);',
    'this.#marks.dropOldest(Math.max(1, this.#flightEvents - 1));',
  ],
  [
    'sends bytes of the wrong slice',
    'lane.ts',
    'this.#settled = end;',
    'this.#settled = end - (this.inFlight ? 1 : 0);',
  ],
];

describe('the model finds a delivery that', () => {
  const made: string[] = [];
  afterAll(() => {
    for (const directory of made) rmSync(directory, { recursive: true, force: true });
  });

  test.each(BUGS)(
    '%s',
    async (_, file, from, to) => {
      const directory = mkdtempSync(join(tmpdir(), 'cdc-bug-'));
      made.push(directory);
      symlinkSync(resolve('node_modules'), join(directory, 'node_modules'));
      let planted = 0;
      for (const name of readdirSync('src/delivery')) {
        const text = readFileSync(join('src/delivery', name), 'utf8');
        if (name === file) planted = text.split(from).length - 1;
        const broken = name === file ? text.replace(from, () => to) : text;
        // The rest of the world stays what it is: the same module twice would be two.
        writeFileSync(join(directory, name), broken.replaceAll("from '../", `from '${resolve('src')}/`));
      }
      expect(planted).toBe(1);
      const { Delivery: Broken } = (await import(join(directory, 'delivery.ts'))) as { Delivery: MakeDelivery };
      await expect(
        (async () => {
          for (let i = 0; i < 20; i++) await checkDelivery(Broken, i % 2 === 0, 20);
        })(),
      ).rejects.toThrow('Property failed');
    },
    60_000,
  );
});
