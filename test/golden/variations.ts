import type { Variation } from './decode.ts';
import type { FixtureName } from './files.ts';

const FORMATS = ['debezium', 'flat', 'maxwell'] as const;

/** Column rules that meet columns of every type, and the strictest of which wins where several match. */
const RULES = {
  'golden*.c*.v': { mask: 3 },
  'golden*.c*7*.v': { hash: 'sha256', secret: 'golden' },
  'golden*.c*5*.v': 'drop',
  'golden*.random_values.c1*': { hash: 'sha256', secret: 'golden' },
  'golden*.random_values.c2*': { mask: 5 },
  'golden*.random_values.c3*': 'drop',
  'golden_story.orders.id': { hash: 'sha256', secret: 'golden' },
  'golden_story.orders.note': { mask: 2 },
  'golden_story.orders.doc': 'drop',
};

/** One option each, apart from the format. */
const CHANGES: Record<string, Omit<Variation, 'format'>> = {
  bigint_string: { values: { bigint: 'string' } },
  decimal_number: { values: { decimal: 'number' } },
  json_nested: { values: { json: 'nested' } },
  binary_hex: { values: { binary: 'hex' } },
  temporal_mysql: { values: { temporal: 'mysql' } },
  temporal_epoch_micros: { values: { temporal: 'epoch_micros' } },
  zero_dates_null: { values: { zero_dates: 'null' } },
  column_rules: { columns: RULES },
};

/** All options at once, where each has been tried alone elsewhere. */
const ALL_VALUES: Omit<Variation, 'format'> = {
  values: {
    ...({ bigint: 'string', decimal: 'number', json: 'nested' } as const),
    ...({ binary: 'hex', temporal: 'mysql', zero_dates: 'null' } as const),
  },
};
/** The same code writes values in all formats and of all servers: each option alone is tried with one of each. */
const FEWER_CHANGES: typeof CHANGES = {
  all_values: ALL_VALUES,
  temporal_epoch_micros: { values: { temporal: 'epoch_micros' } },
  column_rules: { columns: RULES },
};
/** By format, of the fixtures of MySQL 9.7; maxwell has no numbers for dates. */
const OF_MYSQL: Record<Variation['format'], typeof CHANGES> = {
  debezium: CHANGES,
  flat: { ...FEWER_CHANGES, flat_prefix: { flat_prefix: 'meta_' } },
  maxwell: { all_values: ALL_VALUES, column_rules: { columns: RULES } },
};
const OF_OTHERS: typeof OF_MYSQL = { debezium: FEWER_CHANGES, flat: {}, maxwell: { all_values: ALL_VALUES } };

/**
 * The format whose variations are kept in full, so that a failure can show the line; of the others a digest is kept,
 * beside their lines with default values.
 */
export const FULL_FORMAT = 'debezium';

export interface NamedVariation {
  format: Variation['format'];
  /** `debezium default`, or what differs from it. */
  section: string;
  variation: Variation;
}

export const DEFAULTS: readonly NamedVariation[] = FORMATS.map((format) => ({
  format,
  section: `${format} default`,
  variation: { format },
}));

export const variationsOf = (fixture: FixtureName): NamedVariation[] =>
  FORMATS.flatMap((format) =>
    Object.entries((fixture.startsWith('mysql-9.7') ? OF_MYSQL : OF_OTHERS)[format]).map(([name, change]) => ({
      format,
      section: `${format} ${name}`,
      variation: { format, ...change },
    })),
  );
