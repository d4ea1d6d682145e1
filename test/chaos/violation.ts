/** The promises of the design, by number, and I8 to I10 of the daemon's conduct. */
export type Promised = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'I8' | 'I9' | 'I10';

/** A promise that was broken, with what one needs to look into it. */
export interface Violation {
  promise: Promised;
  what: string;
  evidence: Record<string, unknown>;
  at?: string;
}

export type Report = (violation: Violation) => void;
