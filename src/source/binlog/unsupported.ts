import { CdcError } from '../../runtime/error.ts';
import { EventType as E } from './event-type.ts';

/** Why an event of this type stops the stream. */
export function unsupported(type: number): CdcError {
  switch (type) {
    case E.INCIDENT:
      return new CdcError('the server reports an incident: changes are missing from its binlog', {
        exitCode: 4,
        hint: 'see the error log of the server, move the checkpoint file away, start again behind the incident, and copy the tables anew',
      });
    case E.BEGIN_LOAD_QUERY:
    case E.EXECUTE_LOAD_QUERY:
      return new CdcError('the binlog holds LOAD DATA as a statement instead of the rows that it changed', {
        hint: 'SET GLOBAL binlog_format=ROW',
      });
    default:
      return new CdcError(`binlog event type ${type} is not known`, {
        hint: 'a newer cdc may know it; nothing was skipped',
      });
  }
}

export function statementInsteadOfRows(verb: string): CdcError {
  return new CdcError(`the binlog holds a ${verb} statement instead of the rows that it changed`, {
    why: 'some session writes with binlog_format STATEMENT or MIXED',
    hint: 'SET GLOBAL binlog_format=ROW, end the sessions that override it, then copy the table anew',
  });
}
