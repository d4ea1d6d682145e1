import { type Coordinates, isBefore } from '../../model/coordinates.ts';
import { rowHash, type Suspect } from '../compare/suspects.ts';
import { rowIdOf } from '../lake/lake-record.ts';
import type { Landing } from '../landing.ts';
import type { Progress } from '../verify-options.ts';
import { processedOf, seqAtCoordinates } from './positions.ts';
import type { ComparedTable, ReadInterval, ReadRow, SourceReader } from './source-reader.ts';
import { packValues } from './source-row.ts';

const LOOK_UP_BATCH = 500;

/** Reads the rows of suspects again, and notes in each between which points of the stream it was read. */
export class Reread {
  readonly #tables: readonly ComparedTable[];
  readonly #reader: SourceReader;
  readonly #landing: Landing;
  readonly #onProgress: (progress: Progress) => void;

  constructor(
    tables: readonly ComparedTable[],
    reader: SourceReader,
    landing: Landing,
    onProgress: (progress: Progress) => void,
  ) {
    this.#tables = tables;
    this.#reader = reader;
    this.#landing = landing;
    this.#onProgress = onProgress;
  }

  /** @returns the last point, behind which nothing was seen */
  async read(suspects: ReadonlyMap<string, Suspect>): Promise<Coordinates> {
    let last: Coordinates | undefined;
    const onInterval = ({ to }: ReadInterval): void => {
      if (last === undefined || isBefore(last, to)) last = to;
    };
    const byTable = new Map<number, [string, Suspect][]>();
    for (const [id, suspect] of suspects) {
      suspect.source = undefined;
      const others = byTable.get(suspect.table);
      if (others === undefined) byTable.set(suspect.table, [[id, suspect]]);
      else others.push([id, suspect]);
    }
    for (const [number, wanted] of byTable) {
      const table = this.#tables[number] as ComparedTable;
      const canLookUp = wanted.every(
        ([, { keyText }]) => keyText !== undefined && this.#reader.canLookUp(table, keyText),
      );
      if (canLookUp) await this.#lookUp(number, table, wanted, onInterval);
      else await this.#scan(number, table, new Map(wanted), onInterval);
    }
    if (last === undefined) throw new Error('no suspect was read');
    return last;
  }

  async #lookUp(
    number: number,
    table: ComparedTable,
    wanted: readonly [string, Suspect][],
    onInterval: (interval: ReadInterval) => void,
  ): Promise<void> {
    for (let i = 0; i < wanted.length; i += LOOK_UP_BATCH) {
      this.#onProgress({ phase: 'again', table: table.name, rows: wanted.length, fraction: i / wanted.length });
      const batch = new Map(wanted.slice(i, i + LOOK_UP_BATCH));
      const keys = [...batch.values()].map(({ keyText }) => keyText as string);
      const interval = await this.#reader.lookUp(table, keys, this.processed, (row) => {
        takeRow(batch.get(rowIdOf(number, row.key)), table, row);
      });
      const { from, to } = this.#seqs(interval);
      for (const suspect of batch.values()) Object.assign(suspect, { from, to });
      onInterval(interval);
    }
  }

  /** Keys that cannot be looked up: the whole table is read again. */
  async #scan(
    number: number,
    table: ComparedTable,
    wanted: ReadonlyMap<string, Suspect>,
    onInterval: (interval: ReadInterval) => void,
  ): Promise<void> {
    let found: Suspect[] = [];
    const seen = new Set<Suspect>();
    let whole: { from: string; to: string } | undefined;
    await this.#reader.scan(
      table,
      { processed: this.processed },
      (row) => {
        const suspect = wanted.get(rowIdOf(number, row.key));
        if (suspect === undefined) return;
        takeRow(suspect, table, row);
        found.push(suspect);
      },
      (_rows, interval, fraction) => {
        const { from, to } = this.#seqs(interval);
        for (const suspect of found) {
          // A row that moved between two chunks was read twice.
          suspect.from = seen.has(suspect) ? suspect.from : from;
          suspect.to = to;
          seen.add(suspect);
        }
        found = [];
        whole = { from: whole?.from ?? from, to };
        onInterval(interval);
        this.#onProgress({ phase: 'again', table: table.name, ...(fraction !== undefined && { fraction }) });
      },
    );
    for (const suspect of wanted.values()) if (!seen.has(suspect)) Object.assign(suspect, whole);
  }

  /** What every SELECT has to see at least. */
  readonly processed = async () => {
    const { server, delivered } = await this.#landing.status();
    return processedOf(delivered, server.flavor);
  };

  #seqs({ from, to }: ReadInterval): { from: string; to: string } {
    const { epoch } = this.#landing;
    return { from: seqAtCoordinates(epoch, from), to: seqAtCoordinates(epoch, to) };
  }
}

function takeRow(suspect: Suspect | undefined, table: ComparedTable, { values, texts }: ReadRow): void {
  if (suspect === undefined) return;
  suspect.source = packValues(values);
  suspect.sourceRow = rowHash(table, texts);
}
