/** Who leads a pipeline, as one process sees it. */
export interface LeaseStatus {
  /** Whether this process holds the lease. */
  leads: boolean;
  /** Whether it was confirmed within the last seconds: without that, the holder sends nothing. */
  confirmed: boolean;
  /** Who holds it; null if that is not known. `host` is null for this host. */
  holder: { host: string | null; pid: number } | null;
  /** Grows with each process that leads; null where the store needs no such number, and while another one leads. */
  generation: number | null;
  /** How often this process has lost it while it led. */
  lost: number;
  /** Calls to the checkpoint store that failed. */
  storeErrors: number;
  /** Why the store cannot be used now; null while it can. */
  storeError: { message: string; why: string | null; hint: string | null; since: string } | null;
}

/** `process 12 on db-1` */
export const holderText = ({ host, pid }: { host: string | null; pid: number }): string =>
  pid === 0 ? 'another process' : `process ${pid}${host === null ? '' : ` on ${host}`}`;
