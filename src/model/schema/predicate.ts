// Schema of a predicate: alternatives of terms, or SQL. At most 16 terms by 16 alternatives, unrolled, because the API
// server refuses recursive schemas (DESIGN §3, Predicates).
import { Type } from 'typebox';
import { list, oneOf, rules, sqlName, text } from './build.ts';

const comparison = oneOf(
  ['Eq', 'Ne', 'Lt', 'Lte', 'Gt', 'Gte', 'In', 'IsNull'],
  'How the left side is compared with the right side. In takes `values` or a claim that holds a JSON array; IsNull takes no right side.',
);

const claimPath = list(
  Type.String({ minLength: 1, maxLength: 63 }),
  'Path of a claim inside the claims JSON, outermost key first.',
  8,
);

const literal = Type.String({ description: "A literal in the database's text form; it is cast to the type it is compared with.", maxLength: 256 });

/** Left side: `column`, else `claim`, else `currentRole`. Right side: the one that is left, or `value`, `values`, `otherColumn`. */
const operands = {
  column: Type.Optional(sqlName('A column of the table.')),
  op: Type.Optional(comparison),
  claim: Type.Optional(claimPath),
  value: Type.Optional(literal),
  values: Type.Optional(list(literal, 'Literals for In.', 64)),
  otherColumn: Type.Optional(sqlName('Another column of the same table.')),
  currentRole: Type.Optional(Type.Boolean({ description: 'The current role as a name; only `true` is meaningful.' })),
  not: Type.Optional(Type.Boolean({ description: 'Negates the term. An unknown stays unknown, so it still denies.' })),
};

type Operands = {
  column?: string;
  op?: string;
  claim?: readonly string[];
  value?: string;
  values?: readonly string[];
  otherColumn?: string;
  currentRole?: boolean;
  member?: unknown;
};

const operandCount = (self: Operands): number =>
  [self.column, self.claim, self.value, self.values, self.otherColumn, self.currentRole].filter((operand) => operand !== undefined).length;

const celOperandCount =
  "[has(self.column), has(self.claim), has(self.value), has(self.values), has(self.otherColumn), has(self.currentRole)].filter(x, x).size()";

const comparisonRules = [
  {
    rule: `has(self.op) ? ${celOperandCount} == (self.op == 'IsNull' ? 1 : 2) : true`,
    message: 'a comparison has exactly two sides among column, claim, value, values, otherColumn and currentRole; IsNull has exactly one',
    holds: (self: Operands) => self.op === undefined || operandCount(self) === (self.op === 'IsNull' ? 1 : 2),
  },
  {
    rule: 'has(self.op) ? has(self.column) || has(self.claim) || has(self.currentRole) : true',
    message: 'a comparison needs a column, a claim or currentRole on its left side',
    holds: (self: Operands) =>
      self.op === undefined || self.column !== undefined || self.claim !== undefined || self.currentRole !== undefined,
  },
  {
    rule: "has(self.values) ? has(self.op) && self.op == 'In' : true",
    message: 'values goes with op: In',
    holds: (self: Operands) => self.values === undefined || self.op === 'In',
  },
  {
    rule: "has(self.op) && self.op == 'In' ? has(self.values) || has(self.claim) : true",
    message: 'In takes values, or a claim that holds a JSON array',
    holds: (self: Operands) => self.op !== 'In' || self.values !== undefined || self.claim !== undefined,
  },
] as const;

const innerTerm = Type.Object(operands, {
  description: 'One comparison inside a membership lookup.',
  ...rules(...comparisonRules, {
    rule: 'has(self.op)',
    message: 'a term needs op',
    holds: (self: Operands) => self.op !== undefined,
  }),
});

const member = Type.Object(
  {
    schema: Type.Optional(sqlName("Schema of the membership table; the target's own when left out.")),
    table: sqlName('The membership table.'),
    column: sqlName('The column of the membership table that must equal the outer column.'),
    where: Type.Object(
      { all: list(innerTerm, 'Terms over the columns of the membership table; all must hold.', 8) },
      { description: 'Which rows of the membership table count.' },
    ),
  },
  { description: 'The outer column is among the values of a column of another table.' },
);

const term = Type.Object(
  { ...operands, member: Type.Optional(member) },
  {
    description: 'One typed condition.',
    ...rules(...comparisonRules, {
      rule: 'has(self.op) != has(self.member) && (has(self.member) ? has(self.column) && ' + celOperandCount + ' == 1 : true)',
      message: 'a term is either a comparison (op) or a membership (column and member)',
      holds: (self: Operands) =>
        (self.op !== undefined) !== (self.member !== undefined) &&
        (self.member === undefined || (self.column !== undefined && operandCount(self) === 1)),
    }),
  },
);

const allTerms = (description: string) => list(term, description, 16);

export const predicate = Type.Object(
  {
    all: Type.Optional(allTerms('Terms that must all hold.')),
    any: Type.Optional(
      list(
        Type.Object({ all: allTerms('Terms that must all hold.') }, { description: 'One alternative.' }),
        'Alternatives, one of which must hold.',
        16,
      ),
    ),
    sql: Type.Optional(text('A SQL expression. Refused unless a grant of the DatabaseConnection gives the right SQL.', 4096)),
  },
  {
    description: 'Which rows. Anything unknown denies.',
    ...rules({
      rule: '[has(self.all), has(self.any), has(self.sql)].filter(x, x).size() == 1',
      message: 'a predicate has exactly one of all, any and sql',
      holds: (self: { all?: unknown; any?: unknown; sql?: unknown }) =>
        [self.all, self.any, self.sql].filter((form) => form !== undefined).length === 1,
    }),
  },
);
