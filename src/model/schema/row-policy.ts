// Schema of RowPolicy: who may see and write which rows (DESIGN §3).
import { Type } from 'typebox';
import { entryName, integer, list, mapList, mapOf, oneOf, rules, sqlName, text } from './build.ts';
import { conditions, names, objectRef, observedGeneration } from './common.ts';
import { predicate } from './predicate.ts';

type RuleShape = { commands: readonly string[]; using?: unknown; check?: unknown; policyName?: unknown; verbatim?: { using?: unknown; check?: unknown } };

const verbatim = Type.Object(
  {
    using: Type.Optional(text('The USING expression.', 8192)),
    check: Type.Optional(text('The WITH CHECK expression.', 8192)),
  },
  {
    description:
      'The expression exactly as the database had it when `rowseal import` found it: it is kept as it stands, and admitted only where it means what using and check say. Leave it out to have them compiled instead.',
  },
);

const rule = Type.Object(
  {
    name: entryName('Name of the rule.'),
    policyName: Type.Optional(sqlName("Name of the database's policy, to adopt one that exists; made of namespace, name and rule when left out.")),
    as: Type.Optional(oneOf(['Permissive', 'Restrictive'], 'Permissive rules add rows, restrictive ones take away. Permissive when left out.')),
    roles: names('Database roles the rule is for; PUBLIC only when written so.', 64),
    commands: list(
      oneOf(['All', 'Select', 'Insert', 'Update', 'Delete'], 'A command the rule is for.'),
      'Commands the rule is for; All stands alone.',
      4,
    ),
    using: Type.Optional(predicate),
    check: Type.Optional(predicate),
    verbatim: Type.Optional(verbatim),
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
      {
        rule: 'has(self.policyName) || has(self.verbatim) ? self.commands.size() == 1 : true',
        message: 'policyName and verbatim go with one command: each command is a policy of its own',
        holds: (self: RuleShape) => (self.policyName === undefined && self.verbatim === undefined) || self.commands.length === 1,
      },
      {
        rule: 'has(self.verbatim) ? (!has(self.verbatim.using) || has(self.using)) && (!has(self.verbatim.check) || has(self.check)) : true',
        message: 'verbatim repeats an expression that using or check says in terms',
        holds: ({ verbatim: kept, using, check }: RuleShape) =>
          kept === undefined || ((kept.using === undefined || using !== undefined) && (kept.check === undefined || check !== undefined)),
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
  { schema: sqlName('Schema of the tables.'), tables: Type.Optional(names('Tables the rules are for.', 64)), selector: Type.Optional(selector) },
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
    rules: mapList(rule, 'name', { description: 'The rules.', maxItems: 32 }),
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

const planStep = Type.Object(
  {
    sql: Type.String({ description: 'The statement.', maxLength: 16384 }),
    why: Type.String({ description: 'Why it is needed.', maxLength: 1024 }),
    widening: Type.Boolean({ description: 'True when some role could see or write a row afterwards that it could not before.' }),
    mends: Type.Optional(Type.Boolean({ description: 'True when it brings back what was applied before and somebody else changed; that needs no approval.' })),
  },
  { description: 'One statement of the plan.' },
);

const rowChange = Type.Object(
  {
    table: Type.String({ description: 'Schema and table.', maxLength: 130 }),
    role: Type.String({ description: 'The database role.', maxLength: 63 }),
    test: Type.Optional(Type.String({ description: 'The test whose claims were used; without claims when left out.', maxLength: 128 })),
    gained: integer('Rows that the role would see and does not see now.', 0, Number.MAX_SAFE_INTEGER),
    lost: integer('Rows that the role sees now and would not see.', 0, Number.MAX_SAFE_INTEGER),
  },
  { description: 'What the plan changes for one role, counted on the rows of now.' },
);

const finding = Type.Object(
  {
    lint: Type.String({ description: 'Id of the lint.', maxLength: 63 }),
    severity: oneOf(['error', 'warning', 'info'], 'How bad it is.'),
    object: Type.String({ description: 'What it is about.', maxLength: 400 }),
    why: Type.String({ description: 'What can happen.', maxLength: 1024 }),
    fix: Type.String({ description: 'What to do about it.', maxLength: 2048 }),
    witness: Type.Optional(Type.String({ description: 'Whether a witness query has shown it; never holds row values.', maxLength: 1024 })),
    allowed: Type.Optional(Type.String({ description: 'The reason in allowedFindings.', maxLength: 1024 })),
  },
  { description: 'One finding of a lint.' },
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
          rows: Type.Optional(Type.Array(rowChange, { description: 'For small tables, how many rows each role gains and loses.', maxItems: 64 })),
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
    tablesTotal: Type.Optional(integer('How many tables there are, partitions and children included.', 0, 1_000_000)),
    findings: Type.Optional(Type.Array(finding, { description: 'The first findings of the lints, the worst ones first.', maxItems: 64 })),
    findingsTotal: Type.Optional(integer('How many findings there are.', 0, 1_000_000)),
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
