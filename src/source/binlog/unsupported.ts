import { CdcError } from '../../runtime/error.ts';
import { EventType as E } from './event-type.ts';

/** The error for an event type that stops the stream. */
export function unsupported(type: number): CdcError {
  switch (type) {
    case E.INCIDENT:
      return new CdcError('the server reports an incident: changes are missing from its binlog', {
        exitCode: 4,
        hint: 'see the error log of the server, move the checkpoint file away (but not its .epoch file), start again after the incident, and copy the tables again',
      });
    case E.BEGIN_LOAD_QUERY:
    case E.EXECUTE_LOAD_QUERY:
      return new CdcError('the binlog has LOAD DATA as a statement instead of the rows that it changed', {
        hint: 'SET GLOBAL binlog_format=ROW',
      });
    default:
      return new CdcError(`binlog event type ${type} is unknown`, {
        hint: 'upgrade cdc if a newer version knows it; nothing was skipped',
      });
  }
}

export function statementInsteadOfRows(verb: string): CdcError {
  return new CdcError(`the binlog has a ${verb} statement instead of the rows that it changed`, {
    why: 'a session writes with binlog_format STATEMENT or MIXED',
    hint: 'SET GLOBAL binlog_format=ROW, end the sessions that override it, then copy the table again',
  });
}
