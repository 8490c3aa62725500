// Schema of a RowPolicy's spec: who may see and write which rows (DESIGN §3).
import { Type } from 'typebox';
import { integer, list, mapList, mapOf, oneOf, rules, sqlName, text } from './build.ts';
import { names, objectRef } from './common.ts';
import { rule } from './row-policy-rule.ts';

/** A row of a fixture or expectation: column to its text form, or null. */
const row = mapOf(
  Type.Unsafe<string | number | null>({
    'x-kubernetes-int-or-string': true,
    nullable: true,
    description: "The column's value: a string in the database's text form, a whole number, or null.",
    maxLength: 1024,
  }),
  'Columns and their values.',
  64,
);

const expectation = Type.Object(
  {
    table: Type.Optional(sqlName('The table that is read.')),
    visible: Type.Optional(list(row, 'Exactly these rows are visible, compared by the columns written here.', 64, 0)),
    count: Type.Optional(integer('Exactly this many rows are visible.', 0, 1_000_000)),
    denied: Type.Optional(
      Type.Object(
        {
          command: oneOf(['Insert', 'Update', 'Delete'], 'The command that must be refused; Update and Delete must leave every row as it is.'),
          table: sqlName('The table that is written.'),
          row: Type.Optional(row),
          where: Type.Optional(row),
        },
        {
          description: 'A write that row-level security must refuse. Insert writes `row`; Update sets the columns of `row`, and it and Delete touch the rows that have the values of `where`, or all of them.',
          ...rules({
            rule: "(self.command == 'Delete') != has(self.row) && (self.command != 'Insert' || !has(self.where))",
            message: 'Insert takes row, Update takes row and optionally where, Delete takes at most where',
            holds: ({ command, row: written, where }: { command: string; row?: unknown; where?: unknown }) =>
              (command === 'Delete') !== (written !== undefined) && (command !== 'Insert' || where === undefined),
          }),
        },
      ),
    ),
  },
  {
    description: 'What must hold.',
    ...rules(
      {
        rule: '[has(self.visible), has(self.count), has(self.denied)].filter(x, x).size() == 1',
        message: 'an expectation has exactly one of visible, count and denied',
        holds: (self: { visible?: unknown; count?: unknown; denied?: unknown }) =>
          [self.visible, self.count, self.denied].filter((form) => form !== undefined).length === 1,
      },
      {
        rule: 'has(self.denied) != has(self.table)',
        message: 'visible and count need table; denied names its own',
        holds: (self: { table?: unknown; denied?: unknown }) => (self.denied !== undefined) !== (self.table !== undefined),
      },
    ),
  },
);

const policyTest = Type.Object(
  {
    name: text('What the test shows, in words.', 128),
    fixture: Type.Optional(
      mapOf(
        list(row, 'Rows of this table.', 64, 0),
        'Rows by table. With it the test runs on empty copies of the tables, before anything is applied.',
        8,
      ),
    ),
    as: Type.Object(
      {
        role: sqlName('The database role the test acts as.'),
        claims: Type.Optional(
          Type.Unsafe<Record<string, unknown>>({
            type: 'object',
            description: 'The claims JSON of the session.',
            'x-kubernetes-preserve-unknown-fields': true,
            maxProperties: 64,
          }),
        ),
      },
      { description: 'Who the test acts as.' },
    ),
    expect: expectation,
  },
  { description: 'One test, run on the probe connection and rolled back.' },
);

const selector = Type.Object(
  {
    namePattern: Type.Optional(
      text('A pattern that the whole name of a table matches: * stands for any characters, ? for one. It is no regular expression.', 63, { pattern: '^[^\\^|\\[\\](){}+\\\\]+$' }),
    ),
    hasColumns: Type.Optional(names('Columns that the table has, all of them.', 16)),
  },
  {
    description: 'Selects tables of the schema, those made later included. Partitions and inheritance children follow their root.',
    ...rules({
      rule: 'has(self.namePattern) || has(self.hasColumns)',
      message: 'a selector needs namePattern, hasColumns, or both',
      holds: (self: { namePattern?: unknown; hasColumns?: unknown }) => self.namePattern !== undefined || self.hasColumns !== undefined,
    }),
  },
);

const target = Type.Object(
  { schema: sqlName('Schema of the tables.'), tables: Type.Optional(names('Tables the rules are for.', 64)), selector: Type.Optional(selector),
    children: Type.Optional(oneOf(['Govern', 'Leave'], 'Whether partitions and inheritance children get the same policies, since they can be read by themselves, or are left as they are. Govern when left out.')),
  },
  {
    description: 'The governed tables.',
    ...rules({
      rule: 'has(self.tables) != has(self.selector)',
      message: 'a target has tables or a selector, and not both',
      holds: (self: { tables?: unknown; selector?: unknown }) => (self.tables !== undefined) !== (self.selector !== undefined),
    }),
  },
);

const allowedFinding = Type.Object(
  {
    lint: text('Id of the lint.', 63, { pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }),
    object: text('The object of the finding, as the finding names it.', 400),
    reason: text('Why it is acceptable here.', 1024),
  },
  { description: 'A finding that is known and accepted.' },
);

export const rowPolicySpec = Type.Object(
  {
    databaseRef: objectRef('DatabaseConnection'),
    target,
    rowSecurity: Type.Optional(
      oneOf(['Forced', 'Enabled'], 'Forced binds the owner of the table too; Enabled does not. Forced when left out.'),
    ),
    rules: mapList(rule, 'name', { description: 'The rules. An empty list closes the tables: nobody sees a row.', maxItems: 32, minItems: 0 }),
    tests: Type.Optional(mapList(policyTest, 'name', { description: 'Tests; a failing one stops the apply.', maxItems: 16 })),
    mode: Type.Optional(oneOf(['Enforce', 'Plan'], 'Plan only reports what would be done. Enforce when left out.')),
    approval: Type.Optional(
      oneOf(['Automatic', 'WhenWidening', 'Always'], 'Which plans wait for the annotation rowseal.dev/approve: none, those that let a role see or write more, or all. WhenWidening when left out.'),
    ),
    indexes: Type.Optional(
      oneOf(['Create', 'Warn', 'Ignore'], 'What is done about columns that the rules filter by and no index begins with: Create makes one, Warn reports a finding. Warn when left out.'),
    ),
    unmanagedPolicies: Type.Optional(
      oneOf(['Keep', 'Remove'], 'What is done about policies on the tables that no RowPolicy owns; Remove needs the right RemoveUnmanaged. Keep when left out.'),
    ),
    allowedFindings: Type.Optional(
      Type.Array(allowedFinding, {
        description: 'Findings that are known and accepted, each with its reason.',
        minItems: 1,
        maxItems: 64,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['lint', 'object'],
      }),
    ),
    deletionPolicy: Type.Optional(
      oneOf(
        ['Retain', 'FailClosed', 'Restore'],
        'What deleting this object does: Retain leaves the database as it is, FailClosed denies all rows, Restore brings back what was before. Retain when left out.',
      ),
    ),
  },
  { description: 'Who may see and write which rows.' },
);
