// Schema of a RowPolicy's status: what is planned, in force, tested and found; never a row's values.
import { Type } from 'typebox';
import { integer, oneOf } from './build.ts';
import { conditions, observedGeneration } from './common.ts';

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
          notCounted: Type.Optional(Type.Array(Type.String({ maxLength: 512 }), { description: 'Whose rows were not counted, and why.', maxItems: 16 })),
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
