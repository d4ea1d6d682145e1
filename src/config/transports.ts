/** The transports, in the order in which messages name them. */
export const TRANSPORTS = ['firehose', 'kinesis', 'kafka'] as const;
export type Transport = (typeof TRANSPORTS)[number];
