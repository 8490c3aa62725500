// Who runs a statement, as our functions in the database say it.

export interface StatementContext {
  readonly depth: number;
  readonly user: string;
  readonly role: string;
  readonly effective: string;
  readonly claims: string | null;
  readonly application: string | null;
  readonly client: string | null;
}
