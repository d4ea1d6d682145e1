/** The handler methods of a caller that wants only some of what a binlog holds: spread it, and add those. */
export const IGNORE_EVENTS = {
  isCaptured: (): boolean => true,
  rows(): void {},
  truncate(): void {},
  ddl(): void {},
  commit(): void {},
  rollback(): void {},
  savepoint(): void {},
  rollbackTo(): void {},
  xaPrepared(): void {},
  previousGtids(): void {},
  heartbeat(): void {},
};
