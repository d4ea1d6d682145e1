/** The values of kafka.sasl.mechanism. */
export const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512', 'msk-iam'] as const;
export type SaslMechanism = (typeof SASL_MECHANISMS)[number];
