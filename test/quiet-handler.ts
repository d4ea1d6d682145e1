/** What a reader of the binlog tells of besides rows, to somebody who only wants those. */
export const QUIET = {
  captures: () => true,
  truncate() {},
  statement() {},
  commit() {},
  rollback() {},
  savepoint() {},
  rollbackTo() {},
  prepared() {},
  previous() {},
  idle() {},
};
