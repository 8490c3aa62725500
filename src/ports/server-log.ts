// What a database server writes into its own log about logins and reads: the second source of an audit log (DESIGN §7).

/** Where the server's log is, and what is taken from it. */
export interface ReadSettings {
  /** Folder of the files, as the operator sees it. */
  readonly folder: string;
  readonly format: 'jsonlog' | 'csvlog';
  /** Whether the statement's text is recorded; parameters never are. */
  readonly statements: 'Omit' | 'Record';
}

export interface ServerLogFile {
  readonly name: string;
  readonly size: number;
  readonly modifiedMs: number;
}

interface EventPlace {
  /** Byte offset of the record in its file. */
  readonly start: number;
  /** As the server wrote it. */
  readonly logged: string;
  /** RFC 3339, where the server wrote it in UTC or with an offset. */
  readonly time: string | undefined;
}

/** Who, as the server itself knows it: no session can change these. Its role and claims are not in the server's log. */
interface LoggedSession {
  readonly user: string;
  readonly pid: number;
  readonly session: string;
  readonly application: string | undefined;
  readonly client: string | undefined;
}

export type ServerLogEvent = EventPlace & { readonly by: LoggedSession } & (
    | { readonly kind: 'login' }
    /** What pgaudit says of one statement and one object; `statementId` and `substatementId` count in the session. */
    | {
        readonly kind: 'read';
        readonly scope: string;
        readonly statementId: number;
        readonly substatementId: number;
        readonly command: string;
        readonly objectType: string;
        readonly object: string;
        readonly statement: string;
      }
    /** Looks like a record of pgaudit and was raised by a session. */
    | { readonly kind: 'forgery' }
  );

interface ServerLogPart {
  readonly events: readonly ServerLogEvent[];
  /** Where the next record begins; what is behind it is not whole yet. */
  readonly end: number;
  /** Bytes that are no record of this format. */
  readonly unreadable: number;
}

export interface ServerLog {
  /** Those of the format, oldest first by the time of their last change. Throws ServerLogUnreachable. */
  files(): Promise<readonly ServerLogFile[]>;
  /** SHA-256 of a file's first bytes, at most 1,024 of them, by which a name used again is noticed; undefined while it has not so many. */
  fingerprint(name: string, bytes: number): Promise<string | undefined>;
  /** Whole records from an offset on, a bounded number of bytes of them. Throws ServerLogUnreachable. */
  read(name: string, from: number, signal: AbortSignal): Promise<ServerLogPart>;
}
