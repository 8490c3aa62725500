// Schema of a comparison: two sides out of a flat set of fields, so that a manifest reads like a sentence (DESIGN §3, Predicates).
import { Type } from 'typebox';
import { list, oneOf, rules, sqlName, text } from './build.ts';

/** Functions that a term may call; each is a harmless built-in of pg_catalog, or `coalesce`, and can't fail on the arguments it takes. */
export const functionNames = [
  'lower', 'upper', 'btrim', 'ltrim', 'rtrim', 'left', 'right', 'substr', 'split_part', 'replace', 'strpos', 'length', 'starts_with',
  'string_to_array', 'coalesce', 'current_setting', 'date_trunc', 'date_part', 'jsonb_extract_path_text', 'cardinality', 'host',
] as const;

const op = Type.Optional(oneOf(['Eq', 'Ne', 'Lt', 'Lte', 'Gt', 'Gte', 'In', 'Contains', 'Overlaps', 'IsNull'], 'How the sides compare.'));
const column = Type.Optional(sqlName('A column.'));
const claim = Type.Optional(list(Type.String({ minLength: 1, maxLength: 63 }), 'Path of a claim, outermost key first.', 8));
const literal = Type.String({ maxLength: 256 });
const value = Type.Optional(Type.String({ description: "A literal in the database's text form.", maxLength: 256 }));
const values = Type.Optional(list(literal, 'Literals for In, Contains and Overlaps.', 64));
const otherColumn = Type.Optional(sqlName('Another column of the same table.'));
const currentRole = Type.Optional(Type.Boolean({ description: 'The current role; only `true` is meaningful.' }));
const setting = Type.Optional(text('A session setting that holds plain text.', 127, { pattern: '^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)+$' }));
const span = (description: string) => Type.Optional(text(description, 20, { pattern: '^[0-9]{1,9} (second|minute|hour|day|week|month|year)s?$' }));
const now = Type.Optional(
  Type.Object({ plus: span('Later by, such as 30 days.'), minus: span('Earlier by.') }, { description: "The transaction's time; {} is now.", maxProperties: 1 }),
);
const not = Type.Optional(Type.Boolean({ description: 'Negates; the unknown still denies.' }));

const argument = Type.Object({ column, claim, value, currentRole, setting, now }, { description: 'Exactly one.', minProperties: 1, maxProperties: 1 });
const call = (description: string) =>
  Type.Optional(Type.Object({ name: oneOf(functionNames, 'Its name.'), args: list(argument, 'Its arguments.', 4) }, { description }));

/** Left side: the first of column, function, claim, setting and currentRole that is there. Right side: what is left. */
export const operands = {
  column,
  op,
  claim,
  value,
  values,
  otherColumn,
  currentRole,
  setting,
  now,
  function: call('A function.'),
  otherFunction: call('A function on the right side.'),
  not,
};

export interface Operands {
  column?: string;
  op?: string;
  claim?: readonly string[];
  value?: string;
  values?: readonly string[];
  otherColumn?: string;
  currentRole?: boolean;
  setting?: string;
  now?: unknown;
  function?: unknown;
  otherFunction?: unknown;
  member?: unknown;
}

const sides = ['column', 'claim', 'value', 'values', 'otherColumn', 'currentRole', 'setting', 'now', 'function', 'otherFunction'] as const;
const lefts = ['column', 'claim', 'currentRole', 'setting', 'function'] as const;

const sideCount = (self: Operands): number => sides.filter((side) => self[side] !== undefined).length;

/** A sum of ternaries costs a fraction of a filtered list, and the budget is for all terms that a rule can hold. */
const celSideCount = sides.map((side) => `(has(self.${side})?1:0)`).join('+');

export const termRules = rules(
  {
    rule: 'has(self.op) != has(self.member)',
    message: 'a term is either a comparison (op) or a membership (member)',
    holds: (self: Operands) => (self.op !== undefined) !== (self.member !== undefined),
  },
  {
    rule: `${celSideCount} == (has(self.member) || has(self.op) && self.op == 'IsNull' ? 1 : 2)`,
    message: 'a comparison has exactly two sides; IsNull and a membership have exactly one',
    holds: (self: Operands) => sideCount(self) === (self.member !== undefined || self.op === 'IsNull' ? 1 : 2),
  },
  {
    rule: lefts.map((side) => `has(self.${side})`).join(' || '),
    message: 'the left side is a column, claim, currentRole, setting or function',
    holds: (self: Operands) => lefts.some((side) => self[side] !== undefined),
  },
  {
    rule: "has(self.values) ? has(self.op) && self.op in ['In', 'Contains', 'Overlaps'] : true",
    message: 'values goes with op: In, Contains or Overlaps',
    holds: (self: Operands) => self.values === undefined || ['In', 'Contains', 'Overlaps'].includes(self.op ?? ''),
  },
  {
    rule: "has(self.op) && self.op == 'In' ? has(self.values) || has(self.claim) || has(self.function) || has(self.otherFunction) : true",
    message: 'In takes values, a claim that holds a JSON array, or a function that returns an array',
    holds: (self: Operands) =>
      self.op !== 'In' || [self.values, self.claim, self.function, self.otherFunction].some((side) => side !== undefined),
  },
);

/** A term of a lookup inside a lookup: there are too many of them for the API server's budget, so the operator checks the sides. */
export const innermostTerm = Type.Object(
  { column, op: oneOf(['Eq', 'Ne', 'Lt', 'Lte', 'Gt', 'Gte', 'In', 'IsNull'], 'How the sides compare.'), claim, value, values, otherColumn, currentRole, setting, not },
  { description: 'One comparison.', minProperties: 2, maxProperties: 4 },
);
