import { CdcError } from '../../runtime/error.ts';
import type { StatementDml } from '../statement/statement.ts';
import { EventType as E } from './event-type.ts';
import type { QueryEvent } from './query-event.ts';

/** The error for an event type that stops the stream. */
export function unsupported(type: number): CdcError {
  switch (type) {
    case E.INCIDENT:
      return new CdcError('the server reports an incident: changes are missing from its binlog', {
        exitCode: 4,
        hint: 'see the error log of the server, move the checkpoint file away (but not its .epoch file), start again after the incident, and copy the tables again (cdc backfill)',
      });
    default:
      return new CdcError(`binlog event type ${type} is unknown`, {
        hint: 'upgrade cdc if a newer version knows it; nothing was skipped',
      });
  }
}

/** @param label the kind of the statement; its text can hold values, so it is not shown */
export function statementInsteadOfRows(
  { label }: Pick<StatementDml, 'label'>,
  { schema, updatedSchemas }: Pick<QueryEvent, 'schema' | 'updatedSchemas'>,
): CdcError {
  const reach =
    updatedSchemas === undefined
      ? `in the default schema ${schema || '(none)'}`
      : `which can write in ${updatedSchemas.join(', ') || 'no schema'}`;
  return new CdcError(`the binlog has ${article(label)} ${label} statement instead of the rows that it changed`, {
    why: `a session with binlog_format STATEMENT or MIXED ran it, ${reach}; it names a captured table, or can reach one by a trigger, a function or a view`,
    hint: 'SET GLOBAL binlog_format=ROW, and end the sessions that set binlog_format themselves; then start after the statement and copy the table again (cdc backfill)',
  });
}

/** A statement that this version does not know, and that can concern a captured table. */
export function unknownStatement(label: string): CdcError {
  return new CdcError(`the binlog has ${article(label)} ${label} statement that cdc does not understand`, {
    why: 'it can concern a captured table, so it could change rows that are not logged',
    hint: 'upgrade cdc if a newer version knows it; otherwise start after the statement and copy the table again (cdc backfill)',
  });
}

const article = (label: string): string => (/^[AEIOU]/.test(label) ? 'an' : 'a');
