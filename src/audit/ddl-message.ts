// What our event triggers write into the WAL of a DDL command: parsed once its HMAC held (DESIGN §5, DDL).
import type { StatementContext } from './statement-context.ts';

/** One object of a command; rights after GRANT and REVOKE, columns of audited tables. */
interface DdlObject {
  readonly type?: string;
  readonly identity?: string;
  readonly schema?: string;
  readonly relation?: number;
  readonly acl?: readonly string[];
  readonly columns?: readonly (readonly [name: string, type: string])[];
}

export interface DdlMessage {
  readonly kind: 'ddl';
  readonly pid: number;
  readonly event: string;
  readonly command: string;
  /** Null where they could not be told. */
  readonly objects: readonly DdlObject[] | null;
  readonly total: number;
  /** Audited tables whose statement triggers do not stand after the command. */
  readonly lost: readonly number[];
  /** Whether it was done to something of the capture's own. */
  readonly ours: boolean;
  readonly rewrite: readonly string[] | null;
  readonly statement: StatementContext;
}

/** Our own function wrote it, so its parts have the types that it gave them. */
export function ddlMessage(body: readonly unknown[], pid: number): DdlMessage {
  const [, event, command, total, objects, lost, ours, rewrite, user, role, effective, claims, application, client] = body;
  const login = String(user);
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null);
  return {
    kind: 'ddl',
    pid,
    event: String(event),
    command: String(command),
    objects: Array.isArray(objects) ? (objects as readonly DdlObject[]) : null,
    total: Number(total),
    lost: Array.isArray(lost) ? lost.map(Number) : [],
    ours: ours === true,
    rewrite: Array.isArray(rewrite) ? rewrite.map(String) : null,
    statement: {
      depth: 0,
      user: login,
      role: role === 'none' ? login : (text(role) ?? login),
      effective: text(effective) ?? login,
      claims: text(claims),
      application: text(application),
      client: text(client),
    },
  };
}
