// How adapters run one statement, whichever connection it goes over.

/** Parameters as `$1…`, rows as objects, types as `pg` parses them. Throws PostgreSQL's own error; see statementError. */
export type RunQuery = <Row extends object = Record<string, unknown>>(text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;
