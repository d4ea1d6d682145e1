import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ChangeStream } from '../../src/source/change-stream.ts';
import type { TableSchemaCache } from '../../src/source/schema/table-schema-cache.ts';
import { IGNORE_CHANGES } from '../encoded-event.ts';
import { committedLines, configOf, eventsIn, type Fixture, lookUp, NOW, serverOf } from './decode.ts';
import { digestOf, FIXTURES, readFixture, readSections } from './files.ts';

/**
 * The source half of the daemon as a whole, from a configuration to lines, with a recorded binlog in place of the
 * connection and of INFORMATION_SCHEMA: the lines must be those that its parts make in golden.test.ts.
 */

let playing: Fixture;

interface StreamOptions {
  onStart(checksum: boolean): void;
  onEvent(bytes: Buffer, start: number, end: number): Iterable<Promise<void> | undefined> | undefined;
}

vi.mock('../../src/source/binlog/binlog-client.ts', () => ({
  /** Gives the recorded events as the connection does: each is driven to its end before the next. */
  BinlogClient: class {
    readonly #options: StreamOptions;

    constructor(options: StreamOptions) {
      this.#options = options;
    }

    async follow(): Promise<void> {
      this.#options.onStart(playing.checksum);
      for (const [from, to] of eventsIn(playing.events)) {
        for (const step of this.#options.onEvent(playing.events, from, to) ?? []) await step;
      }
    }
  },
}));
vi.mock('../../src/source/schema/resolve-table-schema.ts', () => ({
  async resolveTableSchema(_: unknown, { cache }: { cache: TableSchemaCache }, ...[table, at]: LookUp) {
    const known = lookUp(playing, cache, table, at);
    if (known === undefined) throw new Error(`no columns of ${table.schema}.${table.name} were recorded`);
    return known;
  },
}));

type LookUp = Parameters<typeof lookUp> extends [unknown, unknown, ...infer Rest] ? Rest : never;

beforeEach(() => vi.useFakeTimers({ now: NOW, toFake: ['Date'] }));
afterEach(() => vi.useRealTimers());

/** Lines of maxwell wait for the commit, those of the other formats do not. */
const FORMATS = ['debezium', 'maxwell'] as const;

describe.each(FIXTURES)('following the recorded binlog of %s', (name) => {
  test.each(FORMATS)('gives the same %s events as its parts', async (format) => {
    playing = readFixture(name);
    const { facts, start } = serverOf(playing);
    const handler = { ...IGNORE_CHANGES, ...committedLines(() => {}) };
    const { signal } = new AbortController();
    await new ChangeStream({ config: configOf({ format }), server: facts, start, signal }).follow(handler);
    const golden = readSections(name).get(`${format} default`) ?? [];
    expect(handler.lines).toHaveLength(golden.length);
    expect(digestOf(handler.lines)).toBe(digestOf(golden));
  });
});
