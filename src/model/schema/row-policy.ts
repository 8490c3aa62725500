// Schema of RowPolicy: who may see and write which rows (DESIGN §3).
import { Type } from 'typebox';
import { entryName, integer, list, mapList, mapOf, oneOf, rules, sqlName, text } from './build.ts';
import { conditions, names, objectRef, observedGeneration } from './common.ts';
import { predicate } from './predicate.ts';

type RuleShape = { commands: readonly string[]; using?: unknown; check?: unknown };

const rule = Type.Object(
  {
    name: entryName('Name of the rule.'),
    as: Type.Optional(oneOf(['Permissive', 'Restrictive'], 'Permissive rules add rows, restrictive ones take away. Permissive when left out.')),
    roles: names('Database roles the rule is for; PUBLIC only when written so.', 64),
    commands: list(
      oneOf(['All', 'Select', 'Insert', 'Update', 'Delete'], 'A command the rule is for.'),
      'Commands the rule is for; All stands alone.',
      4,
    ),
    using: Type.Optional(predicate),
    check: Type.Optional(predicate),
  },
  {
    description: 'One rule: for these roles and commands, which rows.',
    ...rules(
      {
        rule: "self.commands.exists(c, c == 'All') ? self.commands.size() == 1 : true",
        message: 'All stands alone among the commands',
        holds: (self: RuleShape) => !self.commands.includes('All') || self.commands.length === 1,
      },
      {
        rule: 'self.commands.all(c, self.commands.exists_one(d, d == c))',
        message: 'a command is named twice',
        holds: (self: RuleShape) => new Set(self.commands).size === self.commands.length,
      },
      {
        rule: 'has(self.using) || has(self.check)',
        message: 'a rule needs using, check, or both',
        holds: (self: RuleShape) => self.using !== undefined || self.check !== undefined,
      },
      {
        rule: "self.commands.exists(c, c == 'Insert') ? !has(self.using) || self.commands.size() > 1 : true",
        message: 'an Insert rule takes check, not using: there is no row to see yet',
        holds: (self: RuleShape) => !(self.commands.length === 1 && self.commands[0] === 'Insert' && self.using !== undefined),
      },
      {
        rule: "has(self.check) ? self.commands.exists(c, c in ['All', 'Insert', 'Update']) : true",
        message: 'check is for rules that write: All, Insert or Update',
        holds: (self: RuleShape) => self.check === undefined || self.commands.some((c) => ['All', 'Insert', 'Update'].includes(c)),
      },
      {
        rule: "!has(self.using) ? self.commands.all(c, c == 'Insert') : true",
        message: 'a rule for All, Select, Update or Delete needs using',
        holds: (self: RuleShape) => self.using !== undefined || self.commands.every((c) => c === 'Insert'),
      },
    ),
  },
);

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
          command: oneOf(['Insert'], 'The command that must be refused.'),
          table: sqlName('The table that is written.'),
          row,
        },
        { description: 'A write that row-level security must refuse.' },
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

export const rowPolicySpec = Type.Object(
  {
    databaseRef: objectRef('DatabaseConnection'),
    target: Type.Object(
      { schema: sqlName('Schema of the tables.'), tables: names('Tables the rules are for.', 64) },
      { description: 'The governed tables.' },
    ),
    rowSecurity: Type.Optional(
      oneOf(['Forced', 'Enabled'], 'Forced binds the owner of the table too; Enabled does not. Forced when left out.'),
    ),
    rules: mapList(rule, 'name', { description: 'The rules.', maxItems: 32 }),
    tests: Type.Optional(mapList(policyTest, 'name', { description: 'Tests; a failing one stops the apply.', maxItems: 16 })),
    mode: Type.Optional(oneOf(['Enforce', 'Plan'], 'Plan only reports what would be done. Enforce when left out.')),
    approval: Type.Optional(oneOf(['Automatic'], 'Which plans wait for an approval. Automatic: none.')),
    indexes: Type.Optional(oneOf(['Ignore'], 'What is done about missing indexes. Ignore: nothing.')),
    unmanagedPolicies: Type.Optional(oneOf(['Keep'], 'What is done about policies that no RowPolicy owns. Keep: nothing.')),
    deletionPolicy: Type.Optional(
      oneOf(
        ['Retain', 'FailClosed', 'Restore'],
        'What deleting this object does: Retain leaves the database as it is, FailClosed denies all rows, Restore brings back what was before. Retain when left out.',
      ),
    ),
  },
  { description: 'Who may see and write which rows.' },
);

const planStep = Type.Object(
  {
    sql: Type.String({ description: 'The statement.', maxLength: 16384 }),
    why: Type.String({ description: 'Why it is needed.', maxLength: 1024 }),
    widening: Type.Boolean({ description: 'True when some role could see or write a row afterwards that it could not before.' }),
  },
  { description: 'One statement of the plan.' },
);

export const rowPolicyStatus = Type.Object(
  {
    observedGeneration,
    plan: Type.Optional(
      Type.Object(
        {
          digest: Type.String({ description: 'SHA-256 of the steps.', maxLength: 80 }),
          steps: Type.Array(planStep, { description: 'The first statements.', maxItems: 32 }),
          total: integer('How many statements there are.', 0, 100_000),
        },
        { description: 'What is still to be done; no steps when the database equals the manifest.' },
      ),
    ),
    tables: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({ description: 'Schema and table.', maxLength: 130 }),
            digest: Type.String({ description: "SHA-256 of the table's policies, row-security flags and owner.", maxLength: 80 }),
            appliedAt: Type.Optional(Type.String({ format: 'date-time', description: 'When Rowseal last changed it.', maxLength: 64 })),
          },
          { description: 'One governed table.' },
        ),
        { description: 'The governed tables as they are in force.', maxItems: 64, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
      ),
    ),
    tests: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({ description: 'Name of the test.', maxLength: 128 }),
            passed: Type.Boolean({ description: 'Whether it passed.' }),
            message: Type.Optional(Type.String({ description: 'Why not.', maxLength: 1024 })),
          },
          { description: 'One test.' },
        ),
        { description: 'The outcome of the tests.', maxItems: 16 },
      ),
    ),
    conditions,
  },
  { description: 'What was observed.' },
);
