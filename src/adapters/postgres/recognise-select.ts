// The value of a SELECT without tables: of values made in its FROM, which yield one row each.
import { constantOf, list, type Node, opened, record, Unrecognised, word } from './recognise-node.ts';
import type { Scope, Value } from './recognise-scope.ts';

/** What a SELECT of one value, without any table, yields. */
export function selectedValue(select: Node, scope: Scope): Value {
  // OFFSET 0 only keeps the planner from taking a sub-select apart.
  const fenced = constantOf(record(select['limitOffset']))?.text === '0' ? ['limitOffset'] : [];
  const known = new Set(['targetList', 'fromClause', 'limitOption', 'op', ...fenced]);
  const targets = list(select['targetList']);
  if (targets.length !== 1 || Object.keys(select).some((part) => !known.has(part)) || select['op'] !== 'SETOP_NONE') throw new Unrecognised('a lookup is no value');
  const bound = new Map<string, Value>();
  for (const item of list(select['fromClause'])) {
    const { tag, inner } = opened(item);
    const alias = word(record(inner['alias'])['aliasname']);
    if (tag !== 'RangeSubselect' || inner['lateral'] === true || record(inner['alias'])['colnames'] !== undefined) throw new Unrecognised('a lookup is no value');
    const made = record(record(inner['subquery'])['SelectStmt']);
    const name = word(record(record(list(made['targetList'])[0])['ResTarget'])['name']);
    bound.set(`${alias}.${name}`, selectedValue(made, scope));
  }
  return scope.recogniser.valueOf(record(record(record(targets[0])['ResTarget'])['val']), { ...scope, levels: [{ sources: [], bound }, ...scope.levels] });
}

/** The single target of a SELECT. */
export function targetOf(select: Node): Node {
  const [target, ...more] = list(select['targetList']);
  if (target === undefined || more.length > 0) throw new Unrecognised('a lookup yields more than one column');
  return record(record(target['ResTarget'])['val']);
}
