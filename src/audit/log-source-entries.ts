// Entries of what a server's log says: logins, and reads as pgaudit tells them; never a parameter, a statement only when asked for.
import type { ReadSettings, ServerLogEvent } from '../ports/server-log.ts';
import { canonical } from './actor.ts';
import type { EntryMembers } from './entry-text.ts';

export function eventMembers(event: ServerLogEvent, { statements }: ReadSettings): EntryMembers {
  const { user, pid, application, client, session } = event.by;
  // Role and claims of the session are not in the server's log, so nothing is said of them.
  const actor = canonical({ application, client, pid, user });
  const { logged } = event;
  switch (event.kind) {
    case 'login':
      return { type: 'session.login', actor, extra: { login: canonical({ logged, session }) } };
    case 'forgery':
      return { type: 'forgery', actor, extra: { forgery: canonical({ logged, reason: 'RaisedBySession', session }) } };
    case 'read': {
      const { command, object, objectType, scope, statementId, substatementId, statement } = event;
      // pgaudit's own words for a text that it left out.
      const text = statements === 'Record' && statement !== '' && !statement.startsWith('<') ? { statement } : {};
      const read = { command, logged, object: object === '' ? undefined : object, objectType: objectType === '' ? undefined : objectType, scope, session, statementId, substatementId, ...text };
      return { type: 'read', actor, extra: { read: canonical(read) } };
    }
  }
}
