/** A setting that `schemas: true` cannot be used with, as the issue of a configuration. */
export interface SchemasConflict {
  path: string[];
  message: string;
}

/** The settings that decide it. */
export interface WrittenForms {
  format: 'debezium' | 'flat' | 'maxwell';
  values: { decimal: string; json: string; temporal: string; zero_dates: string; boolean: readonly string[] };
}

/**
 * The first setting whose values no type of Kafka Connect holds. Connect's JSON converter does not fail on them: it
 * reads a text as the number 0, and a number as a missing text or as `false`.
 */
export function schemasConflict({ format, values }: WrittenForms): SchemasConflict | undefined {
  const conflict = (path: string[], why: string, instead: string): SchemasConflict => ({
    path,
    message: `cannot be used with schemas: true, because ${why}; ${instead}`,
  });
  if (format === 'maxwell') {
    return conflict(
      ['format'],
      'Connect has no type for its DECIMAL numbers and nested JSON',
      'choose debezium or flat, or set schemas: false',
    );
  }
  if (values.decimal === 'number') {
    return conflict(['values', 'decimal'], 'a double of Connect loses digits of a DECIMAL', 'set decimal: string');
  }
  if (values.json === 'nested') {
    return conflict(['values', 'json'], 'Connect has no type for any JSON', 'set json: string');
  }
  if (values.boolean.includes('tinyint1')) {
    return conflict(
      ['values', 'boolean'],
      'a TINYINT(1) other than 0 and 1 stays a number, which Connect reads as false',
      'remove tinyint1',
    );
  }
  if (values.temporal === 'epoch_micros' && values.zero_dates === 'text') {
    return conflict(
      ['values', 'zero_dates'],
      'with temporal: epoch_micros a zero date stays a text, which Connect reads as 1970-01-01',
      'set zero_dates: "null", or temporal: iso',
    );
  }
  return undefined;
}
