import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Delivery } from '../../src/delivery/delivery.ts';
import { checkDelivery, type MakeDelivery, type Setup } from './delivery-model.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Every combination of positions, aggregation and pacing, half of them with keys. Then those of the ordered logs. */
const SETUPS: Setup[] = [
  ...[true, false].flatMap((gtids) =>
    [true, false].flatMap((single) =>
      [true, false].map((paced) => ({ gtids, single, paced, keyed: single !== gtids, transport: 'firehose' as const })),
    ),
  ),
  { gtids: true, single: true, paced: false, keyed: true, transport: 'kinesis' },
  { gtids: false, single: false, paced: true, keyed: true, transport: 'kinesis' },
  { gtids: true, single: true, paced: false, keyed: true, transport: 'kafka' },
];
const LOGS = SETUPS.filter(({ transport }) => transport !== 'firehose');
const SHARDS = SETUPS.filter(({ transport }) => transport === 'kinesis');
/** CDC_MODEL_RUNS=1000 makes a long run. fast-check reports the seed of a failure. */
const RUNS = Number(process.env.CDC_MODEL_RUNS ?? 60);

describe.each(SETUPS)(
  '$transport, resumed by GTIDs: $gtids, one event per record: $single, paced: $paced, with keys: $keyed',
  (setup) => {
    test('random transactions with failures and crashes fold to the rows of the source', async () => {
      await checkDelivery(Delivery, setup, RUNS);
    }, 3_600_000);
  },
);

/** Mutants: a file of src/delivery, a text that occurs once in it, and its replacement. */
const MUTANTS: [name: string, file: string, from: string, to: string, setups?: Setup[]][] = [
  [
    'acknowledges whatever the sink says',
    'stream-sender.ts',
    "outcomes.findIndex(({ kind }) => kind !== 'accepted')",
    '-1 as number',
  ],
  [
    'acknowledges before it sends',
    'stream-sender.ts',
    'const outcomes = await sink.send(records, this.#abort.signal).finally(() => clearInterval(watch));',
    `void sink.send(records, this.#abort.signal);
    const outcomes: RecordOutcome[] = records.map(() => ({ kind: 'accepted' }));`,
  ],
  [
    'moves the watermark over the transaction that waits',
    'watermark-tracker.ts',
    'entry.segment < oldest',
    'entry.segment <= oldest',
  ],
  [
    'takes the newest lane for the oldest',
    'stream-sender.ts',
    'Math.min(oldest, lane.oldestSegment)',
    'lane.oldestSegment',
  ],
  [
    'takes the newest stream for the oldest',
    'delivery.ts',
    'Math.min(oldest, sender.oldestSegment)',
    'sender.oldestSegment',
  ],
  ['loses a record that failed', 'stream-sender.ts', 'for (const lane of lanes) lane.endBackoff();', ''],
  ['swallows a failure', 'stream-sender.ts', 'this.#backOff(lanes, failure.reason);', ''],
  [
    'settles what failed',
    'stream-sender.ts',
    `this.#settleLane(lane, settled);
      this.#backOff`,
    `this.#settleLane(lane, lane.inFlightEvents);
      this.#backOff`,
  ],
  [
    'settles the records behind the one that failed',
    'stream-sender.ts',
    `this.#settleLane(lane, settled);
      this.#backOff`,
    `this.#settleLane(lane, Math.min(lane.inFlightEvents, outcomes.filter(({ kind }) => kind === 'accepted').length));
      this.#backOff`,
  ],
  ['never arms the linger timer again', 'stream-sender.ts', 'this.#lingerTimer = undefined;', ''],
  [
    'lets two slices of a lane fly',
    'lane.ts',
    "return this.#state === 'ready' && this.#sendableEvents > 0;",
    "return this.#state !== 'backing off' && this.waitingEvents > 0;",
  ],
  [
    'settles a refused event',
    'stream-sender.ts',
    'this.#settleLane(lane, settled);\n      lane.isolate',
    'this.#settleLane(lane, lane.inFlightEvents);\n      lane.isolate',
  ],
  ['suspects the wrong event', 'stream-sender.ts', 'lane.inFlightEvents === 1;', 'true;'],
  ['never halves what is isolated', 'lane.ts', 'events >> 1 : events', 'events : events'],
  [
    'settles before the dead letter is written',
    'stream-sender.ts',
    'attempts: lane.attempts })',
    'attempts: lane.attempts }) && Promise.resolve()',
  ],
  [
    'settles the neighbour of a dead letter',
    'stream-sender.ts',
    'this.#settleLane(lane, 1);',
    'this.#settleLane(lane, lane.inFlightEvents + (lane.waitingEvents > 0 ? 1 : 0));',
  ],
  [
    'sends too large an event in a run',
    'request-builder.ts',
    ', limits.maxRecordBytes);\n    const events',
    ');\n    const events',
  ],
  ['sends what is banned', 'stream-sender.ts', 'if (lane.oldestIsDeadLetter)', 'if (false as boolean)'],
  [
    'takes nothing back at a rollback',
    'delivery.ts',
    'this.#discardFrom(this.#firstSegment);\n    this.#savepoints.clear();',
    'this.#savepoints.clear();',
  ],
  [
    'counts bytes that a rollback has discarded',
    'delivery.ts',
    'this.#bufferedBytes -= bytes;\n      this.#appended',
    'this.#appended',
  ],
  ['forgets where a savepoint was', 'delivery.ts', 'this.#currentSegment++;', ''],
  ['takes back too little', 'event-index.ts', '>= segment', '> segment'],
  [
    'counts a prepared transaction as delivered',
    'watermark-tracker.ts',
    'this.#prepared++;',
    'this.#delivered.advance(transaction);',
  ],
  [
    'counts it among GTIDs as delivered',
    'watermark-tracker.ts',
    'instanceof GtidSet) return;',
    'instanceof GtidSet) return this.#delivered.advance(transaction);',
  ],
  ['ends the XA barrier while one is prepared', 'watermark-tracker.ts', 'if (this.#prepared > 0) return false;', ''],
  ['forgets those without rows', 'watermark-tracker.ts', 'if (entry.coalesced) ', 'if (false as boolean) '],
  ['knows no backpressure', 'delivery.ts', 'if (paused === this.#paused) return;', 'if (Date.now() > 0) return;'],
  ['never lets go of the backpressure', 'delivery.ts', 'if (paused === this.#paused) return;', 'if (!paused) return;'],
  [
    'settles one event too few',
    'lane.ts',
    'this.#events.dropOldest(events);',
    'this.#events.dropOldest(Math.max(1, events - 1));',
  ],
  ['gives memory back while it is in flight', 'byte-queue.ts', 'chunk.base + chunk.used <= end', 'chunk.base <= end'],
  ['sends bytes of the wrong slice', 'byte-queue.ts', 'end - base);', 'end - base - 1);'],
  [
    'sends two records of a key in a request',
    'request-builder.ts',
    'if (keys !== undefined && event !== undefined && !isFirst(keys, event)) break;',
    '',
    SHARDS,
  ],
  [
    'lets lanes share a record',
    'request-builder.ts',
    'if (this.#sink.isLog) return',
    'if (false as boolean) return',
    LOGS,
  ],
  ['sends again what a log has stored', 'request-builder.ts', 'if (lane.isStored(i))', 'if (false as boolean)', LOGS],
  [
    'takes the event behind for the one that is stored',
    'stream-sender.ts',
    'lane?.markStored(places[i] as number);',
    'lane?.markStored((places[i] as number) - 1);',
    LOGS,
  ],
  [
    'settles as many events as records were stored',
    'stream-sender.ts',
    'const settled = places?.[failed] ?? failed;',
    'const settled = failed;',
    LOGS,
  ],
  ['keeps in flight what a partition has no room for', 'request-builder.ts', 'lane.shortenFlight(taken);', '', SHARDS],
  [
    'forgets that a lane was full',
    'request-builder.ts',
    'if (!this.#admits(record)) return lane.shortenFlight(0);',
    'if (!this.#admits(record)) return;',
    SHARDS,
  ],
  ['gives an event the key of another', 'lane.ts', 'this.#keys?.dropTo(this.#events.keyEnd(events - 1));', ''],
];

describe('the model finds a delivery that', () => {
  const directories: string[] = [];
  afterAll(() => {
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  });

  test.each(MUTANTS)(
    '%s',
    async (_, file, from, to, setups = SETUPS) => {
      const directory = mkdtempSync(join(tmpdir(), 'cdc-mutant-'));
      directories.push(directory);
      symlinkSync(resolve('node_modules'), join(directory, 'node_modules'));
      let occurrences = 0;
      for (const name of readdirSync('src/delivery')) {
        const text = readFileSync(join('src/delivery', name), 'utf8');
        if (name === file) occurrences = text.split(from).length - 1;
        const mutated = name === file ? text.replace(from, () => to) : text;
        // Imports from other folders stay the same modules, because a copy would be a second instance.
        writeFileSync(join(directory, name), mutated.replaceAll("from '../", `from '${resolve('src')}/`));
      }
      expect(occurrences).toBe(1);
      const { Delivery: Mutant } = (await import(join(directory, 'delivery.ts'))) as { Delivery: MakeDelivery };
      await expect(
        (async () => {
          for (let i = 0; i < 40; i++) await checkDelivery(Mutant, setups[i % setups.length] as Setup, 20);
        })(),
      ).rejects.toThrow('Property failed');
    },
    180_000,
  );
});
