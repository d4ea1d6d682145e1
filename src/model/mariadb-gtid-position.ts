import { CdcError } from '../runtime/error.ts';

/**
 * A MariaDB GTID position: the last transaction of each replication domain, `domain-server-sequence`. Within a domain
 * the binlog order is total, so one triple includes all transactions before it (MariaDB knowledge base, "Global
 * Transaction ID").
 */
export class MariadbGtidPosition {
  readonly #domains = new Map<number, { server: number; sequence: number }>();

  /** The empty text is the empty position. @throws CdcError if the text is not a GTID position */
  static parse(text: string): MariadbGtidPosition {
    const position = new MariadbGtidPosition();
    for (const entry of text.split(',').map((part) => part.trim())) {
      if (entry === '') continue;
      const match = /^(\d{1,10})-(\d{1,10})-(\d{1,16})$/.exec(entry);
      const domain = Number(match?.[1]);
      if (!match || position.#domains.has(domain)) {
        throw new CdcError(`"${entry}" is not a valid part of a MariaDB GTID position`, {
          exitCode: 2,
          why: match ? `the position contains domain ${domain} twice` : 'it must have the form 0-1-1234',
        });
      }
      position.advance(domain, Number(match[2]), Number(match[3]));
    }
    return position;
  }

  get isEmpty(): boolean {
    return this.#domains.size === 0;
  }

  /** Overwrites the domain, even with a lower sequence: another server can continue with one after a failover. */
  advance(domain: number, server: number, sequence: number): void {
    this.#domains.set(domain, { server, sequence });
  }

  /** Advances to a later position, domain by domain. */
  advanceAll(later: MariadbGtidPosition): void {
    for (const [domain, { server, sequence }] of later.#domains) this.advance(domain, server, sequence);
  }

  /** Whether this position contains every domain of `other` with at least the same sequence. */
  containsAll(other: MariadbGtidPosition): boolean {
    return [...other.#domains].every(([domain, theirs]) => {
      const ours = this.#domains.get(domain);
      return ours !== undefined && ours.sequence >= theirs.sequence;
    });
  }

  clone(): MariadbGtidPosition {
    const copy = new MariadbGtidPosition();
    for (const [domain, { server, sequence }] of this.#domains) copy.advance(domain, server, sequence);
    return copy;
  }

  toString(): string {
    return [...this.#domains]
      .sort(([a], [b]) => a - b)
      .map(([domain, { server, sequence }]) => `${domain}-${server}-${sequence}`)
      .join(',');
  }
}
