/** A key and its value. A disabled one is a comment that shows the value. */
export type WrittenKey = { key: string } & ({ value: unknown; disabled?: true } | { entries: WrittenKey[] });

/** A key with the value that was typed; without one it is disabled, and shows an example. */
export const optionalKey = (key: string, value: string | undefined, example: string): WrittenKey =>
  value === undefined ? { key, value: example, disabled: true } : { key, value: literal(value) };

/** The value that loads as this text: `${` would begin the name of an environment variable. */
export const literal = (text: string): string => text.replaceAll('${', () => '$${');
