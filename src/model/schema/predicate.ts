// Schema of a predicate: alternatives of terms, or SQL. At most 16 terms by 16 alternatives, unrolled, because the API
// server refuses recursive schemas (DESIGN §3, Predicates).
import { Type } from 'typebox';
import { list, rules, sqlName, text } from './build.ts';
import { innermostTerm, operands, termRules } from './term.ts';

type Forms = { all?: unknown; any?: unknown; sql?: unknown };

const countOf = (self: Forms): number => [self.all, self.any, self.sql].filter((form) => form !== undefined).length;

const lookup = {
  schema: Type.Optional(sqlName("Schema of the table; the target's own when left out.")),
  table: sqlName('The table that is looked up.'),
  column: sqlName('The column of that table whose values count.'),
};

const innermostMember = Type.Object(
  {
    ...lookup,
    where: Type.Optional(Type.Object({ all: list(innermostTerm, 'All must hold.', 4) }, { description: 'Which rows count.' })),
  },
  { description: 'The left side is among the values of a column.' },
);

const innerTerm = Type.Object({ ...operands, member: Type.Optional(innermostMember) }, { description: 'One condition.', ...termRules });

const member = Type.Object(
  {
    ...lookup,
    where: Type.Optional(
      Type.Object(
        {
          all: Type.Optional(list(innerTerm, 'All must hold.', 8)),
          any: Type.Optional(list(Type.Object({ all: list(innerTerm, 'All must hold.', 4) }, { description: 'One alternative.' }), 'One must hold.', 4)),
        },
        { description: 'Which rows count; all when left out.', minProperties: 1, maxProperties: 1 },
      ),
    ),
  },
  { description: 'The left side is among the values of a column of another table.' },
);

const term = Type.Object({ ...operands, member: Type.Optional(member) }, { description: 'One condition.', ...termRules });

export const predicate = Type.Object(
  {
    all: Type.Optional(list(term, 'Terms that must all hold.', 16)),
    any: Type.Optional(
      list(
        Type.Object({ all: list(term, 'Terms that must all hold.', 16) }, { description: 'One alternative.' }),
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
      holds: (self: Forms) => countOf(self) === 1,
    }),
  },
);
