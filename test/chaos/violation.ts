/** The promises of docs/RELIABILITY.md, by name. */
export type Promised =
  | 'noLoss'
  | 'keyOrder'
  | 'samePartition'
  | 'checkpointNotAhead'
  | 'noPhantom'
  | 'convergence'
  | 'incompleteMarked'
  | 'sameRedelivery'
  | 'boundedRepeats'
  | 'lagHeals'
  | 'loudStop'
  | 'boundedMemory'
  | 'takeover'
  | 'oneLeader';

/** A broken promise, with the evidence that an analysis needs. */
export interface Violation {
  promise: Promised;
  what: string;
  evidence: Record<string, unknown>;
  at?: string;
}

export type Report = (violation: Violation) => void;
