// Recognises lookups in other tables as memberships: EXISTS, IN, = ANY (ARRAY(SELECT …)), joins of a few tables, and set-returning functions.
import type { Operand, Term } from '../../policy/predicate.ts';
import { compared } from './recognise-compare.ts';
import { castValue } from './recognise-cast.ts';
import { readAlike } from './recognise-eyes.ts';
import { bodyOf } from './recognise-function.ts';
import { itemsOf } from './recognise-json.ts';
import { constantOf, list, type Node, opened, plainName, record, sameText, typeKey, Unrecognised, word } from './recognise-node.ts';
import { allOf, both, type ColumnOf, either, type Fact, type Facts, type Level, nothingBound, type Scope, single, type Source, type Value } from './recognise-scope.ts';
import { selectedValue, targetOf } from './recognise-select.ts';

/** When the SELECT yields a row, or, with a test, one that equals it. Throws Unrecognised. */
export function looksUp(select: Node, test: Value | undefined, scope: Scope): Facts {
  if (select['op'] === 'SETOP_UNION') return either([looksUp(record(select['larg']), test, scope), looksUp(record(select['rarg']), test, scope)]);
  requirePlain(select, test !== undefined);
  const { level, conditions } = fromOf(list(select['fromClause']), scope);
  const inner: Scope = { ...scope, levels: [level, ...scope.levels] };
  const where = select['whereClause'] === undefined ? [] : [record(select['whereClause'])];
  const found = allOf([...conditions, ...where].map((condition) => scope.recogniser.whenIs(true, condition, inner)));
  const wanted = both(targetFacts(select, test, inner), found);
  if (level.sources.length === 0) return wanted;
  return grouped(wanted.map((facts) => partsOf(facts, level.sources, scope)));
}

const plainParts = new Set(['targetList', 'fromClause', 'whereClause', 'limitOption', 'op', 'distinctClause', 'sortClause']);

function requirePlain(select: Node, tested: boolean): void {
  const limited = 'limitCount' in select && !tested && Number(constantOf(record(select['limitCount']))?.text ?? 0) >= 1;
  const strange = Object.keys(select).find((part) => !plainParts.has(part) && !(part === 'limitCount' && limited));
  if (strange !== undefined || select['op'] !== 'SETOP_NONE') throw new Unrecognised(`a lookup has ${strange ?? 'a set operation'}`);
  const distinctOn = list(select['distinctClause']).some((part) => Object.keys(part).length > 0);
  if (distinctOn) throw new Unrecognised('a lookup has DISTINCT ON');
  if (!tested) list(select['targetList']).forEach(requireHarmless);
}

/** What EXISTS selects does not matter, unless it makes rows of its own. */
function requireHarmless(target: Node): void {
  const value = record(record(target['ResTarget'])['val']);
  const { tag } = opened(value);
  if (tag !== 'A_Const' && tag !== 'ColumnRef' && !(tag === 'TypeCast' && constantOf(record(opened(value).inner['arg'])) !== undefined)) throw new Unrecognised('EXISTS selects more than a column');
}

interface From {
  readonly level: Level;
  readonly conditions: readonly Node[];
}

function fromOf(items: readonly Node[], scope: Scope): From {
  const sources: Source[] = [];
  const conditions: Node[] = [];
  const bound = new Map<string, Value>(nothingBound);
  const add = (item: Node): void => {
    const { tag, inner } = opened(item);
    const alias = record(inner['alias']);
    if (alias['colnames'] !== undefined && tag !== 'RangeFunction') throw new Unrecognised('a lookup renames columns');
    if (tag === 'RangeVar') sources.push(sourceOf(inner, scope));
    else if (tag === 'JoinExpr') {
      if (inner['jointype'] !== 'JOIN_INNER' || inner['isNatural'] === true || inner['usingClause'] !== undefined || inner['alias'] !== undefined) throw new Unrecognised('a lookup has a join that is not INNER … ON');
      [record(inner['larg']), record(inner['rarg'])].forEach(add);
      if (inner['quals'] !== undefined) conditions.push(record(inner['quals']));
    } else if (tag === 'RangeSubselect' && inner['lateral'] !== true) {
      const made = record(record(inner['subquery'])['SelectStmt']);
      bound.set(`${word(alias['aliasname'])}.${word(record(record(list(made['targetList'])[0])['ResTarget'])['name'])}`, selectedValue(made, scope));
    } else if (tag === 'RangeFunction') bindItems(inner, bound, { ...scope, levels: [{ sources: [], bound: new Map(bound) }, ...scope.levels] });
    else throw new Unrecognised('a lookup reads something that is no table');
  };
  items.forEach(add);
  if (sources.length > 3) throw new Unrecognised('a lookup joins more than three tables');
  return { level: { sources, bound }, conditions };
}

/** FROM jsonb_array_elements_text(claim) AS i(item). */
function bindItems(inner: Node, bound: Map<string, Value>, scope: Scope): void {
  const [call] = list(record(record(list(inner['functions'])[0])['List'])['items']);
  const items = call === undefined ? undefined : itemsValue(call, scope);
  const alias = record(inner['alias']);
  const name = word(alias['aliasname']);
  if (items === undefined || inner['ordinality'] === true || list(inner['functions']).length !== 1 || name === '') throw new Unrecognised('a lookup reads a function');
  const column = word(record(record(list(alias['colnames'])[0])['String'])['sval']) || name;
  for (const key of [column, `${name}.${column}`]) bound.set(key, items);
}

function itemsValue(node: Node, scope: Scope): Value | undefined {
  const { tag, inner } = opened(node);
  if (tag !== 'FuncCall' || !['json_array_elements_text', 'jsonb_array_elements_text'].includes(plainName(inner['funcname']))) return undefined;
  return single('text', { kind: 'item', path: itemsOf(scope.recogniser.valueOf(arrayOr(record(list(inner['args'])[0])), scope), scope) });
}

/** What we write where a claim may be no array: it yields one unknown item then, and here an error. */
function arrayOr(node: Node): Node {
  const { tag, inner } = opened(node);
  const [when, ...more] = tag === 'CaseExpr' ? list(inner['args']).map((each) => opened(each).inner) : [];
  const test = opened(record(when?.['expr'])).inner;
  const asked = opened(record(test['lexpr'])).inner;
  const otherwise = opened(record(inner['defresult'])).inner;
  const isTest = plainName(test['name']) === '=' && plainName(asked['funcname']) === 'jsonb_typeof' && sameText(list(asked['args'])[0], when?.['result']);
  const isKind = constantOf(record(opened(record(test['rexpr'])).inner['arg']))?.text === 'array' && constantOf(record(otherwise['arg']))?.text === '[null]';
  return when !== undefined && more.length === 0 && isTest && isKind ? record(when['result']) : node;
}

function sourceOf(inner: Node, { meanings, searchPath, reader }: Scope): Source {
  const table = word(inner['relname']);
  // A session could shadow a bare name by a temporary table, unless the path says where those come.
  const bare = searchPath?.includes('pg_temp') === true ? searchPath : [];
  const schemas = inner['schemaname'] === undefined ? bare : [word(inner['schemaname'])];
  const found = schemas.map((schema) => meanings.tableOf({ schema, table })).find((candidate) => candidate !== undefined);
  if (found === undefined || inner['inh'] !== true) throw new Unrecognised(`a lookup reads ${[word(inner['schemaname']), table].filter((part) => part !== '').join('.')}, which is no table that is known`);
  if (found.relationKind !== 'r' && found.relationKind !== 'p') throw new Unrecognised(`a lookup reads ${table}, which is no table`);
  return { table: found, alias: word(record(inner['alias'])['aliasname']) || table, reader };
}

/** What the selected value has to fulfil: equality with the test. */
function targetFacts(select: Node, test: Value | undefined, scope: Scope): Facts {
  if (test === undefined) return [[]];
  const target = targetOf(select);
  const { tag, inner } = opened(target);
  const called = tag === 'FuncCall' ? setOf(inner, scope) : undefined;
  if (called !== undefined) return looksUp(called.select, test, called.scope);
  return compared(test, itemOrValue(target, scope), { op: 'Eq', positive: true });
}

function setOf(inner: Node, scope: Scope): ReturnType<typeof bodyOf> | undefined {
  const name = plainName(inner['funcname']);
  if (!name.includes('.')) return undefined;
  const body = bodyOf(name, list(inner['args']), scope);
  return body.called.returnsSet ? body : undefined;
}

function itemOrValue(node: Node, scope: Scope): Value {
  const { tag, inner } = opened(node);
  if (tag === 'TypeCast') return castValue(itemOrValue(record(inner['arg']), scope), typeKey(record(inner['typeName'])));
  return itemsValue(node, scope) ?? scope.recogniser.valueOf(node, scope);
}

/** One alternative of a lookup: what of it stands outside, on which value it hangs, and which rows count. */
interface Parts {
  readonly outside: readonly Fact[];
  readonly member: Extract<Term, { kind: 'member' }>;
  readonly sources: readonly Source[];
  readonly linkSources: readonly Source[];
}

function partsOf(facts: readonly Fact[], sources: readonly Source[], scope: Scope): Parts {
  const within = facts.filter((fact) => fact.sources.some((source) => sources.includes(source)));
  const outside = facts.filter((fact) => !within.includes(fact));
  const isOuter = (fact: Fact) => fact.sources.some((source) => !sources.includes(source));
  const [link, second] = within.filter(isOuter);
  if (second !== undefined) throw new Unrecognised('a lookup hangs on more than one column');
  const hook = link === undefined ? sessionHook(within, sources) : columnHook(link, sources);
  const rest = within.filter((fact) => fact !== hook.fact);
  const { term: member, used } = memberTerm(hook.inner, hook.left, rest);
  if (used.size !== sources.length) throw new Unrecognised('a lookup reads a table without a join');
  const parts: Parts = { outside, member, sources: [...used], linkSources: link === undefined ? [] : link.sources.filter((source) => !sources.includes(source)) };
  readAlike({ member, sources: parts.sources, outside, scope });
  return parts;
}

interface Hook {
  readonly fact: Fact;
  readonly inner: ColumnOf;
  readonly left: Operand;
}

function columnHook(fact: Fact, sources: readonly Source[]): Hook {
  if (fact.join === undefined) throw new Unrecognised('a lookup hangs on more than an equality');
  const [a, b] = fact.join;
  const [inner, outer] = sources.includes(a.source) ? [a, b] : [b, a];
  return { fact, inner, left: { kind: 'column', name: outer.name } };
}

/** A lookup that hangs on no column hangs on a value of the session: the first column that has to equal one. */
function sessionHook(facts: readonly Fact[], sources: readonly Source[]): Hook {
  for (const fact of facts) {
    const { term } = fact;
    const [source] = fact.sources;
    if (term.kind !== 'compare' || term.op !== 'Eq' || term.not || term.left.kind !== 'column' || source === undefined || !sources.includes(source)) continue;
    if (['claim', 'setting', 'currentRole', 'function'].includes(term.right.kind) && !speaksOfRow(term.right)) return { fact, inner: { source, name: term.left.name }, left: term.right };
  }
  throw new Unrecognised('a lookup hangs on nothing');
}

function speaksOfRow(operand: Operand): boolean {
  return operand.kind === 'column' || (operand.kind === 'function' && operand.args.some(speaksOfRow));
}

/** The membership in one table, and below it those in the tables that are joined to it. */
function memberTerm(inner: ColumnOf, left: Operand, facts: readonly Fact[], used = new Set<Source>()): { term: Parts['member']; used: Set<Source> } {
  const { source } = inner;
  if (used.has(source)) throw new Unrecognised('tables of a lookup are joined in a circle');
  used.add(source);
  const where = facts.flatMap((fact): readonly Term[] => {
    if (fact.join === undefined || fact.sources.length < 2) return fact.sources.length === 1 && fact.sources[0] === source ? [fact.term] : [];
    const [a, b] = fact.join;
    const [own, other] = a.source === source ? [a, b] : [b, a];
    if (own.source !== source || used.has(other.source)) return [];
    const others = facts.filter((each) => each !== fact && each.join !== undefined && [own.source, other.source].every((one) => each.sources.includes(one)));
    if (others.length > 0) throw new Unrecognised('two tables of a lookup are joined by more than one column');
    return [memberTerm(other, { kind: 'column', name: own.name }, facts, used).term];
  });
  const { schema, table } = source.table.table;
  return { term: { kind: 'member', left, table: { schema, table }, column: inner.name, where: where.length === 0 ? [] : [where], not: false }, used };
}

/** Lookups that differ in their rows alone are one with alternatives; as many of them as a manifest can hold. */
function grouped(parts: readonly Parts[]): Facts {
  const [first] = parts;
  const same = first !== undefined && parts.length > 1 && parts.length <= 4 && parts.every((each) => alike(each, first) && each.member.where[0] !== undefined && each.member.where[0].length <= 4);
  if (same) return [factsOf({ ...first, member: { ...first.member, where: parts.flatMap(({ member }) => member.where) } })];
  return parts.map(factsOf);
}

function alike(a: Parts, b: Parts): boolean {
  const shape = ({ outside, member }: Parts) => JSON.stringify([outside.map(({ term }) => term), { ...member, where: [] }]);
  return shape(a) === shape(b) && a.linkSources[0] === b.linkSources[0];
}

function factsOf({ outside, member, linkSources }: Parts): readonly Fact[] {
  return [...outside, { term: member, sources: linkSources }];
}
