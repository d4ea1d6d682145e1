/** The metadata fields of format flat, without their prefix (docs/EVENTS.md). */
export const FLAT_FIELDS = ['op', 'seq', 'deleted', 'ts_ms', 'db', 'table', 'partial'] as const;
