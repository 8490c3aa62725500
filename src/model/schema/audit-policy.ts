// Schema of AuditPolicy: which changes are recorded, and where (DESIGN §3).
import { Type } from 'typebox';
import { entryName, integer, list, mapList, oneOf, rules, sqlName } from './build.ts';
import { conditions, names, objectRef, observedGeneration } from './common.ts';

interface Columns {
  readonly omit?: readonly string[];
  readonly hash?: readonly string[];
  readonly redact?: readonly string[];
}

const overlap = (a: readonly string[] = [], b: readonly string[] = []): boolean => a.some((column) => b.includes(column));

function columnNames(description: string) {
  return list(Type.String({ minLength: 1, maxLength: 63 }), description, 64);
}

const columns = Type.Object(
  {
    omit: Type.Optional(columnNames('Columns that entries do not have at all.')),
    hash: Type.Optional(columnNames("Columns whose values are HMAC-SHA256 under the policy's key, kept in the Secret <name>-hash-key: equal values stay comparable without being readable.")),
    redact: Type.Optional(columnNames('Columns of whose values entries say nothing, not even whether they are NULL.')),
  },
  {
    description: 'Columns whose values never leave the operator as they are.',
    ...rules(
      {
        rule: '(has(self.omit) ? self.omit.size() : 0) + (has(self.hash) ? self.hash.size() : 0) + (has(self.redact) ? self.redact.size() : 0) > 0',
        message: 'name at least one column in omit, hash or redact',
        holds: (self: Columns) => [self.omit, self.hash, self.redact].some((list) => list !== undefined),
      },
      {
        rule: "(!has(self.omit) || !has(self.hash) || !self.omit.exists(c, c in self.hash)) && (!has(self.omit) || !has(self.redact) || !self.omit.exists(c, c in self.redact)) && (!has(self.hash) || !has(self.redact) || !self.hash.exists(c, c in self.redact))",
        message: 'a column stands in only one of omit, hash and redact',
        holds: (self: Columns) => !overlap(self.omit, self.hash) && !overlap(self.omit, self.redact) && !overlap(self.hash, self.redact),
      },
    ),
  },
);

const auditedTables = Type.Object(
  {
    name: entryName('Name of the entry.'),
    schema: sqlName('Schema of the tables.'),
    tables: names('Tables that are audited.', 256),
    operations: Type.Optional(
      list(oneOf(['Insert', 'Update', 'Delete', 'Truncate'], 'An operation.'), 'Operations that are recorded; all when left out.', 4),
    ),
    columns: Type.Optional(columns),
  },
  { description: 'Some tables, and what is recorded of them.' },
);

const reads = Type.Object(
  { statements: Type.Optional(oneOf(['Omit', 'Record'], "Whether the text of statements is recorded; it may hold values. Omit when left out. Parameters never are.")) },
  { description: "Records logins, and reads as pgaudit tells them, from the server's log that the DatabaseConnection names in serverLog." },
);

export const auditPolicySpec = Type.Object(
  {
    databaseRef: objectRef('DatabaseConnection'),
    logRef: objectRef('AuditLog'),
    tables: mapList(auditedTables, 'name', { description: 'What is recorded.', maxItems: 64 }),
    baseline: Type.Optional(
      oneOf(['Snapshot', 'None'], 'Whether the rows that exist when auditing begins are recorded; Snapshot needs BYPASSRLS where row-level security is on. None when left out.'),
    ),
    schemaChanges: Type.Optional(
      oneOf(['Record', 'Ignore'], 'Whether DDL, rights, roles and settings of the database are recorded. Record when left out; what is done to the capture itself is recorded always.'),
    ),
    context: Type.Optional(
      oneOf(
        ['Statement', 'Transaction'],
        'How the actor is captured. Statement: with every statement, by triggers. Transaction: once a transaction, by a call of rowseal.begin, without any trigger; rows of other transactions have no actor. Statement when left out, and for tables that another AuditPolicy of the same database and log declares so.',
      ),
    ),
    reads: Type.Optional(reads),
    replicaIdentity: Type.Optional(
      oneOf(['Full', 'Keep'], 'Full gives complete before-images; Keep leaves the tables as they are. Full when left out.'),
    ),
    deletionPolicy: Type.Optional(
      oneOf(['Retain', 'Remove'], 'What deleting this object does with triggers, publication and slot. Retain when left out.'),
    ),
  },
  { description: 'Which changes are recorded, and where.' },
);

const tableCoverage = Type.Object(
  {
    name: Type.String({ description: 'Schema and table.', maxLength: 130 }),
    captured: Type.Array(Type.String({ maxLength: 16 }), { description: 'Operations that are captured now.', maxItems: 4 }),
    problems: Type.Array(Type.String({ maxLength: 63 }), { description: 'Why not all is captured as declared; each is explained in docs/audit.md.', maxItems: 8 }),
  },
  { description: 'A declared table, or a partition of one that has a problem of its own.' },
);

const coverage = Type.Object(
  {
    total: integer('How many tables were looked at.', 0, 1_000_000),
    uncovered: integer('How many of them are not captured as declared.', 0, 1_000_000),
    tables: Type.Array(tableCoverage, { description: 'The first of them, those with problems before the others.', maxItems: 64 }),
  },
  { description: 'What of the declared tables is really captured, as of the last look.' },
);

const baselineStatus = Type.Object(
  {
    tables: integer('Tables whose rows are to be recorded, partitions counted one by one.', 0, Number.MAX_SAFE_INTEGER),
    complete: integer('Those whose rows are sealed, and for which no gap waits to be reconciled.', 0, Number.MAX_SAFE_INTEGER),
    rows: integer('Rows sealed so far, those of reconciled gaps among them.', 0, Number.MAX_SAFE_INTEGER),
  },
  { description: 'How far the baselines of all AuditPolicies of this database and log are; absent where none is asked for.' },
);

export const auditPolicyStatus = Type.Object(
  {
    observedGeneration,
    slot: Type.Optional(Type.String({ description: 'Name of the replication slot.', maxLength: 63 })),
    lagBytes: Type.Optional(integer('WAL between the server and what is sealed.', 0, Number.MAX_SAFE_INTEGER)),
    lagSeconds: Type.Optional(integer('Age of the oldest change that is not sealed yet, as far as known.', 0, Number.MAX_SAFE_INTEGER)),
    lastPosition: Type.Optional(Type.String({ description: 'Last sealed position, as incarnation:LSN:seq.', maxLength: 64 })),
    attributedPercent: Type.Optional(integer('Share of the row changes since the start whose actor is known.', 0, 100)),
    gaps: Type.Optional(integer('How many gaps were sealed.', 0, Number.MAX_SAFE_INTEGER)),
    unattributed: Type.Optional(integer('Row changes since the start whose actor is not known.', 0, Number.MAX_SAFE_INTEGER)),
    coverage: Type.Optional(coverage),
    baseline: Type.Optional(baselineStatus),
    conditions,
  },
  { description: 'What was observed.' },
);
