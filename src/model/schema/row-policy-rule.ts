// Schema of one rule of a RowPolicy: roles, commands, and the rows they are about.
import { Type } from 'typebox';
import { entryName, list, oneOf, rules, sqlName, text } from './build.ts';
import { names } from './common.ts';
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

export const rule = Type.Object(
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
        // PostgreSQL lets a policy have neither, which then admits nothing, or restricts nothing: to adopt such a one, not to write it.
        rule: 'has(self.using) || has(self.check) || has(self.policyName)',
        message: 'a rule needs using, check, or both',
        holds: (self: RuleShape) => self.using !== undefined || self.check !== undefined || self.policyName !== undefined,
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
        rule: "!has(self.using) && !has(self.policyName) ? self.commands.all(c, c == 'Insert') : true",
        message: 'a rule for All, Select, Update or Delete needs using',
        holds: (self: RuleShape) => self.using !== undefined || self.policyName !== undefined || self.commands.every((c) => c === 'Insert'),
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
