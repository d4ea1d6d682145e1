/** A name in backticks, as an identifier in MySQL's SQL. Not `??` of mysql2, which splits a name at its dots. */
export const quoteIdentifier = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
