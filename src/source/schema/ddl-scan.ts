import { type Coordinates, isBefore } from '../../model/coordinates.ts';
import type { SourceConnection } from '../../model/source-connection.ts';
import { BinlogDecoder } from '../binlog/binlog-decoder.ts';
import type { BinlogHandler, LoggedDdl } from '../binlog/binlog-handler.ts';
import { scanBinlog } from '../binlog/binlog-scan.ts';
import { IGNORE_EVENTS } from '../binlog/ignore-events.ts';
import type { DecodeText } from '../binlog/table-map.ts';
import { BufferedXaRows } from '../binlog/xa-buffer.ts';
import type { TableEffect } from '../statement/statement.ts';
import { changesSchema } from './table-schema-cache.ts';

export interface DdlScanOptions extends Pick<BinlogHandler<never>, 'isCaptured' | 'isSchemaCaptured'> {
  connection: SourceConnection;
  decode: DecodeText;
  foldNames: boolean;
  heartbeatMs: number;
  signal: AbortSignal;
}

/** The last statement that changed the schema of a table in one way. */
interface LastChange {
  effect: TableEffect;
  label: string;
  at: Coordinates;
}

/**
 * The statements in the binlog ahead of the stream that can have changed the columns or the row key of a captured
 * table. Each byte is read at most once, however many tables are looked up, as long as look-ups do not go backwards.
 */
export class DdlScan {
  readonly #options: DdlScanOptions;
  /** The part of the binlog that was read: from these coordinates to those. */
  #scanned: { from: Coordinates; to: Coordinates } | undefined;
  readonly #changes = new Map<string, LastChange>();

  constructor(options: DdlScanOptions) {
    this.#options = options;
  }

  /** The statements between two coordinates that can have changed the table; the last one of each effect. */
  async changesOf(schema: string, table: string, from: Coordinates, to: Coordinates): Promise<LastChange[]> {
    await this.#scanTo(from, to);
    const effects: readonly TableEffect[] = ['columns', 'unique-key'];
    return [keyOf(schema, table), keyOf(schema, undefined)]
      .flatMap((key) => effects.map((effect) => this.#changes.get(`${key}\0${effect}`)))
      .filter((change) => change !== undefined)
      .filter(({ at }) => !isBefore(at, from) && isBefore(at, to));
  }

  async #scanTo(from: Coordinates, to: Coordinates): Promise<void> {
    const known = this.#scanned;
    const continues = known !== undefined && !isBefore(from, known.from) && !isBefore(known.to, from);
    if (!continues) this.#changes.clear();
    const start = continues ? known.to : from;
    if (isBefore(start, to)) await scanDdl(this.#options, start, to, (statement) => this.#add(statement));
    this.#scanned = { from, to: isBefore(to, start) ? start : to };
    for (const [key, { at }] of this.#changes) if (isBefore(at, from)) this.#changes.delete(key);
  }

  #add({ label, at, changes }: LoggedDdl): void {
    for (const change of changes) {
      if (!changesSchema(change)) continue;
      const { effect, schema, table } = change;
      this.#changes.set(`${keyOf(schema, table)}\0${effect}`, { effect, label, at });
    }
  }
}

/** Passes every statement between two coordinates to `onStatement`, with its changes of captured tables. */
export async function scanDdl(
  options: DdlScanOptions,
  from: Coordinates,
  to: Coordinates,
  onStatement: (statement: LoggedDdl) => void,
): Promise<void> {
  const { connection, decode, foldNames, heartbeatMs, signal, isCaptured, isSchemaCaptured } = options;
  let isAtEnd = false;
  const handler: BinlogHandler<never> = {
    ...IGNORE_EVENTS,
    isCaptured,
    isSchemaCaptured,
    tableMap() {
      throw new Error('a scan for statements reads no table map');
    },
    ddl: onStatement,
    // The server sends a heartbeat only at the end of the binlog.
    heartbeat: () => {
      isAtEnd = true;
    },
  };
  await scanBinlog<never>({
    connection,
    from,
    heartbeatMs,
    createDecoder: (checksum) =>
      new BinlogDecoder<never>(handler, decode, checksum, {
        findPreparedXa: async () => new BufferedXaRows(),
        statementsOnly: true,
        ignoreStatementDml: true,
        foldNames,
      }),
    isDone: (at) => isAtEnd || (at.file !== '' && !isBefore(at, to)),
    signal,
  });
  signal.throwIfAborted();
}

const keyOf = (schema: string, table: string | undefined): string => `${schema}\0${table ?? ''}`;
