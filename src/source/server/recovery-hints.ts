/** What to do when changes are lost for good: the lake needs a new copy of the tables. */
export const START_OVER_HINT =
  'move the checkpoint file away (not the .epoch file beside it, which keeps seq growing), start again (source.start sets the position), and copy the tables again (cdc backfill)';

/** What to do when bytes of a binlog are not what the server wrote. */
export const DAMAGED_BINLOG_HINT =
  'start again; if the error stays, the binlog on the server is damaged: repair it or fail over, then copy the tables again (cdc backfill)';
