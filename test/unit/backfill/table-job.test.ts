import { describe, expect, test } from 'vitest';
import { type RangeJob, TableJob } from '../../../src/backfill/work/table-job.ts';
import { CdcError } from '../../../src/runtime/error.ts';

const job = (estimatedRows = 100, sendsTruncates = false): TableJob =>
  TableJob.of(
    { schema: 'd', table: 't', estimatedRows },
    { request: 'request', where: undefined, begun: !sendsTruncates },
    sendsTruncates,
  );
const first = ({ ranges }: TableJob): RangeJob => ranges[0] as RangeJob;
const rangesOf = ({ progress }: TableJob) => progress.ranges.map(({ after, upTo }) => ({ after, upTo }));

describe('the progress of a table', () => {
  test('moves over delivered chunks, not over those that were read', () => {
    const table = job();
    const range = first(table);
    range.cursor = ['b'];
    expect(rangesOf(table)).toEqual([{ after: null, upTo: null }]);
    expect(range.rest).toEqual({ after: ['b'], upTo: null });
    expect(table.delivered(range, 10, ['a'], false)).toBe(false);
    expect(rangesOf(table)).toEqual([{ after: ['a'], upTo: null }]);
    expect(table.progress.rows).toBe(10);
  });

  test('ends when the last chunk of each range is delivered', () => {
    const table = job();
    const range = first(table);
    const second = table.split(range, ['m']);
    expect(rangesOf(table)).toEqual([
      { after: null, upTo: ['m'] },
      { after: ['m'], upTo: null },
    ]);
    expect(table.delivered(range, 1, undefined, true)).toBe(false);
    expect(rangesOf(table)).toEqual([{ after: ['m'], upTo: null }]);
    expect(table.delivered(second, 1, ['z'], true)).toBe(true);
  });

  test('continues from a checkpoint behind what is delivered', () => {
    const table = job();
    table.key = 'id';
    table.split(first(table), ['m']);
    table.delivered(first(table), 10, ['c'], false);
    const saved = JSON.parse(JSON.stringify({ ...table.progress, ranges: rangesOf(table) }));
    const resumed = new TableJob(saved, false);
    expect(rangesOf(resumed)).toEqual(rangesOf(table));
    expect(first(resumed).rest).toEqual({ after: ['c'], upTo: ['m'] });
    expect([resumed.rows, resumed.rowsRead, resumed.key, resumed.where]).toEqual([10, 10, 'id', undefined]);
  });

  test('begins again from nothing after a restart', () => {
    const table = job();
    const range = first(table);
    table.split(range, ['m']);
    table.delivered(range, 10, ['c'], false);
    table.restart();
    expect(rangesOf(table)).toEqual([{ after: null, upTo: null }]);
    expect([table.rows, table.key, table.generation]).toEqual([0, '', 1]);
    // A chunk of the range that was replaced does not end the table.
    expect(table.delivered(range, 1, ['m'], true)).toBe(false);
  });
});

describe('a copy that replaces what was sent of a table', () => {
  test('begins again with the event that empties it', () => {
    const table = job(100, true);
    expect(table.isBegun).toBe(false);
    table.isBegun = table.isBeginning = true;
    table.restart();
    expect([table.isBegun, table.isBeginning]).toEqual([false, false]);
  });

  test('needs no such event for a part of the table', () => {
    const part = { request: 'request', where: 'id > 1', begun: true };
    const table = TableJob.of({ schema: 'd', table: 't', estimatedRows: 1 }, part, true);
    table.restart();
    expect(table.isBegun).toBe(true);
  });
});

describe('the status of a table', () => {
  test('is a fraction of the estimate or of the key, below 1 until it is done', () => {
    const table = job(100);
    expect(table.status.fraction).toBe(0);
    table.delivered(first(table), 50, ['c'], false);
    expect(table.status.fraction).toBe(0.5);
    table.keyFraction = 0.25;
    expect(table.status.fraction).toBe(0.25);
    table.keyFraction = undefined;
    table.delivered(first(table), 500, ['d'], false);
    expect(table.status.fraction).toBe(0.999);
    table.state = 'done';
    expect(table.status.fraction).toBe(1);
    expect(job(0).status.fraction).toBe(0);
  });

  test('has the error with its reason and what to do', () => {
    const table = job();
    table.error = new CdcError('no', { why: 'because', hint: 'do this' });
    expect(table.status.error).toEqual({ message: 'no', why: 'because', hint: 'do this' });
    table.error = new CdcError('no');
    expect(table.status.error).toEqual({ message: 'no' });
  });
});
