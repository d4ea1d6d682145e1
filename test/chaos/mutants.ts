import type { ChaosOptions } from './chaos-run.ts';
import type { Edit } from './edit.ts';
import { LOG_MUTANTS } from './log-mutants.ts';
import type { Promised } from './violation.ts';

/** The daemon with one deliberate bug, which the chaos run must find. */
export interface Mutant {
  /** The first violation must be of one of these promises. */
  breaks: readonly Promised[];
  edits: readonly Edit[];
  /** Options that the run needs to reach the bug. */
  options?: Partial<ChaosOptions>;
  /** The daemon's byte budget, if only backpressure reaches the bug. */
  budgetBytes?: number;
}

const edit = (file: string, from: string, to: string): Edit => ({ file, from, to });

/** The request of a sink of AWS. */
const SEND = 'const response = await sendWithDeadline((options) => call.send(options), this.#timeoutMs, signal);';

/** A lost event is found in a checkpoint that contains its transaction, or at the end of the round. */
const LOSS: readonly Promised[] = ['checkpointNotAhead', 'noLoss'];

export const MUTANTS: Readonly<Record<string, Mutant>> = {
  'acknowledges before it sends': {
    breaks: LOSS,
    edits: [
      edit(
        'sinks/aws/put-calls',
        SEND,
        `void sendWithDeadline((options) => call.send(options), this.#timeoutMs, signal).catch(() => {});
         // Its memory is still read.
         return Array.from({ length: records }, () => ({ kind: 'accepted' }));
         ${SEND}`,
      ),
    ],
  },
  'takes an unknown outcome for accepted': {
    breaks: LOSS,
    edits: [edit('sinks/aws/outcomes', "    return { kind: 'unknown', reason };\n}", '    return ACCEPTED;\n}')],
  },
  'shifts the outcomes of a request by one slot': {
    breaks: [...LOSS, 'boundedRepeats'],
    edits: [
      edit(
        'delivery/stream-sender',
        'outcomes[first + i] ?? NO_OUTCOME',
        'outcomes[(first + i + 1) % outcomes.length] ?? NO_OUTCOME',
      ),
    ],
  },
  'gives a record up after two failures': {
    breaks: LOSS,
    edits: [
      edit(
        'delivery/stream-sender',
        'this.#backOff(lanes, failure.reason);',
        `if (lanes.some((lane) => lane.attempts > 1)) for (const lane of lanes) if (lane.waitingEvents > 0) { lane.startFlight(0, 1); this.#settleLane(lane, 1); }
         this.#backOff(lanes, failure.reason);`,
      ),
    ],
  },
  'sends every request twice': {
    breaks: ['boundedRepeats'],
    edits: [
      edit(
        'sinks/aws/put-calls',
        SEND,
        `await sendWithDeadline((options) => call.send(options), this.#timeoutMs, signal);
         ${SEND}`,
      ),
    ],
  },

  'moves the watermark to the newest transaction': {
    breaks: ['checkpointNotAhead'],
    edits: [edit('delivery/delivery', 'this.#watermark.advanceTo(oldest)', 'this.#watermark.advanceTo(Infinity)')],
  },
  'counts a transaction as delivered once it is read': {
    breaks: ['checkpointNotAhead'],
    edits: [edit('delivery/delivery', 'transaction, hasRows, this.#appended)', 'transaction, false, this.#appended)')],
  },
  "saves the server's GTID set": {
    breaks: ['checkpointNotAhead'],
    edits: [
      edit('pipeline', 'gtids: delivered.gtids?.toString() ?? null,', 'gtids: server.executed?.toString() ?? null,'),
    ],
  },
  'writes the checkpoint in place': {
    breaks: ['checkpointNotAhead'],
    edits: [
      edit(
        'runtime/durable-file',
        'await handle.writeFile(text);',
        `await handle.writeFile(text);
         const there = await open(path, 'w', 0o600);
         await there.write(text.slice(0, text.length >> 1));
         await new Promise((resolve) => setTimeout(resolve, 100));
         await there.write(text.slice(text.length >> 1));
         await there.close();`,
      ),
    ],
  },
  'resumes one transaction too late': {
    breaks: ['keyOrder', 'lagHeals', 'noLoss'],
    edits: [
      edit(
        'source/start-point',
        'dump: { gtids: gtids.toString() },',
        'dump: { gtids: gtids.toString().replace(/(c0000000[^,]*-)(\\d+)(?=,|$)/g, (_, head, last) => head + (Number(last) + 1)) },',
      ),
    ],
    options: { healWithinMs: 20_000 },
  },
  'begins at the end of the binlog after a restart': {
    breaks: ['checkpointNotAhead'],
    edits: [edit('source/start-point', 'const start = saved === undefined', 'const start = true')],
  },
  'begins a new epoch at each start': {
    breaks: ['sameRedelivery'],
    edits: [edit('source/start-point', 'Math.max(saved.epoch + 1, newEpoch) : saved.epoch;', 'newEpoch : newEpoch;')],
  },

  'numbers the rows by a running counter': {
    breaks: ['sameRedelivery'],
    edits: [
      edit(
        'codec/formats/debezium-format',
        'putHex(out, ordinal, ORDINAL_LENGTH);',
        'putHex(out, (globalThis.ordinal = (globalThis.ordinal ?? 0) + 1), ORDINAL_LENGTH);',
      ),
    ],
  },
  'gives an event the time at which it is read': {
    breaks: ['sameRedelivery'],
    edits: [edit('codec/formats/debezium-format', '{committedAt},"snapshot"', '{now},"snapshot"')],
  },
  'drops the delete of a changed key': {
    breaks: LOSS,
    edits: [
      edit(
        'codec/formats/debezium-format',
        "images.writeKeyMember(images.beforeSpans);\n        this.#end('d', at - ordinalBase, row, emit, 0);",
        'images.writeKeyMember(images.beforeSpans);',
      ),
    ],
  },
  'rounds a BIGINT as JavaScript does': {
    breaks: ['convergence'],
    edits: [
      edit(
        'codec/bytes/number-text',
        'out.ascii(((BigInt(high) << 32n) | BigInt(low)).toString());',
        'out.ascii(String(BigInt(high * 0x100000000 + low)));',
      ),
    ],
  },
  'forgets the fourth row of an event': {
    breaks: LOSS,
    edits: [
      edit(
        'codec/event-writer',
        'formatter.row(rows, before, after, at, row++, emit);',
        'formatter.row(rows, before, after, at, row, row++ === 3 ? () => {} : emit);',
      ),
    ],
  },
  'forgets a TRUNCATE': {
    breaks: LOSS,
    edits: [
      edit('source/change-stream', 'writer.writeTruncate(position, ordinal, transaction, Date.now(), emit);', ''),
    ],
  },
  'reads a name in double quotes as a string': {
    breaks: [...LOSS, 'loudStop'],
    edits: [edit('source/statement/tokenizer', "this.#modes.ansiQuotes ? this.#readName('\"') : ", '')],
  },
  "reads a latin1 client's statement as UTF-8": {
    breaks: [...LOSS, 'noPhantom'],
    edits: [
      edit(
        'source/statement/logged-statement',
        'const text = decode(head, collation)',
        "const text = head.toString('utf8')",
      ),
    ],
  },
  'takes a comment inside TRUNCATE for the name': {
    breaks: [...LOSS, 'loudStop'],
    edits: [
      edit(
        'source/statement/tokenizer',
        "text.startsWith('/*', at)",
        "text.startsWith('/*', at) && !/^truncate/i.test(text)",
      ),
    ],
  },
  'forgets that DROP TABLE removes the rows': {
    breaks: [...LOSS, 'convergence'],
    edits: [
      edit(
        'source/statement/ddl',
        "ddl(label, names.flatMap((name) => changesOf(name, 'emptied', 'columns')))",
        "ddl(label, names.flatMap((name) => changesOf(name, 'columns')))",
      ),
    ],
  },
  'does not mark a table whose rows went without events': {
    breaks: ['incompleteMarked'],
    edits: [edit('source/change-stream', 'start.coverage.rewritten(incomplete);', '')],
  },
  'knows only TRUNCATE PARTITION, not EXCHANGE and DROP': {
    breaks: ['incompleteMarked'],
    edits: [
      edit(
        'source/change-stream',
        "if (effect !== 'rewritten')",
        "if (effect !== 'rewritten' || !label.includes('TRUNCATE'))",
      ),
    ],
  },
  'forgets the marks of tables at a restart': {
    breaks: ['incompleteMarked'],
    edits: [edit('source/start-point', 'incomplete: saved?.incomplete ?? []', 'incomplete: []')],
  },
  'keeps the mark of a table that was emptied': {
    breaks: ['incompleteMarked'],
    edits: [edit('source/change-stream', "this.#complete(schema, name, 'emptied', transaction);", '')],
  },
  'cannot read a savepoint whose name is quoted': {
    breaks: ['loudStop'],
    edits: [edit('source/statement/read-statement', 'name === undefined || !', '!/^\\w+$/.test(name ?? "") || !')],
  },
  'stops at every statement that is logged instead of rows': {
    breaks: ['loudStop'],
    edits: [
      edit(
        'source/binlog/table-statements',
        'if (updatedSchemas?.some((schema) => handler.isSchemaCaptured(schema)) === false)\n            return true;',
        'if (updatedSchemas !== undefined)\n            return false;',
      ),
    ],
  },
  'swaps two columns that the binlog does not name': {
    breaks: ['noPhantom'],
    edits: [
      edit(
        'source/schema/information-schema',
        'ORDER BY ORDINAL_POSITION',
        "ORDER BY ORDINAL_POSITION + CASE COLUMN_NAME WHEN 'ver' THEN 1 WHEN 'tx' THEN -1 ELSE 0 END",
      ),
    ],
    options: { minimalMetadata: true },
  },
  'leaves a table out by mistake': {
    breaks: LOSS,
    edits: [
      edit(
        'source/change-stream',
        'this.#isCaptured = compileTableFilter(config.tables, { caseSensitive });',
        `const filter = compileTableFilter(config.tables, { caseSensitive });
         this.#isCaptured = (schema, table) => table !== 'wide' && filter(schema, table);`,
      ),
    ],
  },
  'spreads the events of a key over the lanes': {
    breaks: ['keyOrder'],
    edits: [
      edit(
        'source/change-stream',
        'watch?.touch(event);',
        'watch?.touch(event); event = { ...event, keyHash: (Math.random() * 2 ** 32) >>> 0 };',
      ),
    ],
  },
  'sends what XA ROLLBACK has undone': {
    breaks: ['noPhantom'],
    edits: [
      edit(
        'source/binlog/transaction-state',
        'transaction.preparedTransaction = this.#xa.takePrepared(xid)?.transaction;',
        `const undone = this.#xa.takePrepared(xid);
         transaction.preparedTransaction = undone?.transaction;
         if (undone) return this.#emitBufferedRows(undone.rows, position);`,
      ),
    ],
  },

  'drops a dead letter': {
    breaks: LOSS,
    edits: [
      edit(
        'dead-letter/delivery-error-handler',
        'await this.#store.write([{ stream, ...parsed, reason, attempts, event }]);',
        '',
      ),
    ],
    options: { fatRows: 100, oversize: 0.5 },
  },
  'ends at a network error': {
    breaks: ['loudStop'],
    edits: [edit('daemon', "if (error.kind !== 'retry')", 'if (true)')],
  },
  'never connects again': {
    breaks: ['lagHeals'],
    edits: [
      edit(
        'daemon',
        'const retryInMs = exponentialBackoff(attempt, { baseMs: RESTART_DELAY_BASE_MS, maxMs: RESTART_DELAY_MAX_MS });',
        'const retryInMs = 3_600_000;',
      ),
    ],
    options: { healWithinMs: 15_000 },
  },
  'never reads on after pressure': {
    breaks: ['lagHeals'],
    edits: [edit('pipeline', 'endLast?.();', '')],
    options: { healWithinMs: 20_000 },
    budgetBytes: 256 * 1024,
  },
  'keeps the memory of what it has sent': {
    breaks: ['boundedMemory'],
    edits: [
      edit(
        'delivery/delivery',
        'this.#appended += bytes;',
        'this.#appended += bytes; (globalThis.kept ??= []).push(Buffer.alloc(65_536, 1));',
      ),
    ],
  },

  ...LOG_MUTANTS,
};
