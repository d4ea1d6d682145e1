/** Handler methods that do nothing. A caller that needs only some events spreads them and adds its own. */
export const IGNORE_EVENTS = {
  isCaptured: (): boolean => true,
  isSchemaCaptured: (): boolean => true,
  isHarmless: (): boolean => true,
  rows(): void {},
  truncate(): void {},
  ddl(): void {},
  commit(): void {},
  rollback(): void {},
  savepoint(): void {},
  rollbackTo(): void {},
  xaPrepared(): void {},
  previousGtids(): void {},
  fileBegins(): void {},
  heartbeat(): void {},
};
