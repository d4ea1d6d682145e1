/** An event as an ordered log has it. */
export interface StoredEvent {
  /** The shard, or topic and partition. */
  partition: string;
  /** The key by which the transport chose the partition; null for a message without a key. */
  key: string | null;
  /** The line of the event, without its newline. */
  line: string;
  /** Its place in the partition, for messages. */
  offset: string;
  /** When it was stored, milliseconds since 1970. */
  at: number;
}

/** An ordered log, read back by a consumer that shares no code with the sink. */
export interface EventLog {
  /** Whether each row has a key of its own. Otherwise rows of a lane share one. */
  readonly keyPerRow: boolean;
  /** Whether the log is what shows that an event was delivered, because no call is seen. */
  readonly isOnlyWitness: boolean;
  /** What was stored since the last call: a partition in its order, and after those that it comes from. */
  readNew(): Promise<StoredEvent[]>;
  /** The partitions that this one was made from by a reshard. */
  parentsOf(partition: string): readonly string[];
  /** The events that were stored by the calls that the server has seen. Undefined where it sees none. */
  readonly storedByCalls: number | undefined;
}
