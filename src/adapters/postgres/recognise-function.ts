// Looks into functions of the catalog: one whose body is a single expression or lookup is recognised as that.
import type { ObservedFunction } from '../../policy/observed.ts';
import { castValue } from './recognise-cast.ts';
import { expressionNode, type Node, opened, record, selectNode, Unrecognised } from './recognise-node.ts';
import type { Scope, Value } from './recognise-scope.ts';
import { selectedValue } from './recognise-select.ts';

const deepest = 5;

export interface Body {
  readonly called: ObservedFunction;
  readonly select: Node;
  readonly scope: Scope;
}

/** The value that a call yields. Throws Unrecognised. */
export function bodyValue(name: string, args: readonly Node[], scope: Scope): Value {
  const { called, select, scope: inner } = bodyOf(name, args, scope);
  const value = selectedValue(select, inner);
  if (called.returnsSet) throw new Unrecognised(`${name} returns a set`);
  // What a function returns is converted only where the conversion is none.
  return value.type === 'unknown' ? castValue(value, called.returns) : sameOrText(value, called);
}

/** The body of the one function that is meant, with its parameters bound. Throws Unrecognised. */
export function bodyOf(name: string, args: readonly Node[], scope: Scope): Body {
  const called = calledFunction(name, args.length, scope);
  if (scope.depth >= deepest) throw new Unrecognised(`${name} calls too many others`);
  if (args.some((arg) => opened(arg).tag === 'NamedArgExpr')) throw new Unrecognised(`${name} is called with named arguments`);
  const bound = new Map<string, Value>();
  called.parameters.forEach((parameter, index) => {
    const value = boundAs(record(args[index]), parameter.type, scope);
    bound.set(`$${index + 1}`, value);
    if (parameter.name !== '') for (const key of [parameter.name, `${called.name}.${parameter.name}`]) bound.set(key, value);
  });
  const { searchPath: _, ...outside } = scope;
  const reader = called.securityDefiner ? { kind: 'owner' as const, owner: called.owner, bypasses: called.ownerBypasses } : scope.reader;
  const path = called.parsed ? [] : called.searchPath;
  const inner: Scope = { ...outside, reader, levels: [{ sources: [], bound }], depth: scope.depth + 1, ...(path === undefined ? {} : { searchPath: path }) };
  return { called, select: selectOf(called), scope: inner };
}

function boundAs(arg: Node, type: string, scope: Scope): Value {
  const value = scope.recogniser.valueOf(arg, scope);
  return value.type === type ? value : castValue(value, type);
}

function calledFunction(name: string, count: number, scope: Scope): ObservedFunction {
  const at = name.lastIndexOf('.');
  const schemas = at >= 0 ? [name.slice(0, at)] : (scope.searchPath ?? []);
  const found = schemas.map((schema) => scope.meanings.functionsNamed(schema, name.slice(at + 1))).find((functions) => functions.length > 0) ?? [];
  const [only, ...more] = found.filter(({ parameters }) => parameters.length === count);
  if (only === undefined) throw new Unrecognised(`${name} is not a function that can be looked into`);
  if (more.length > 0) throw new Unrecognised(`there are several functions ${name}`);
  if (only.strict && count > 0) throw new Unrecognised(`${name} is strict`);
  return only;
}

/** The SELECT of an SQL function, of `RETURN expression`, or of a PL/pgSQL function that only returns an expression. */
function selectOf({ language, body, name, parsed }: ObservedFunction): Node {
  if (language === 'sql' && !parsed) return selectNode(body);
  const [, returned] = /^\s*(?:BEGIN\s+)?RETURN\s+([^;]*?)\s*(?:;\s*END\s*;?\s*)?$/i.exec(body) ?? [];
  if (returned !== undefined && (language === 'plpgsql' || parsed)) return { targetList: [{ ResTarget: { val: expressionNode(returned) } }], limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' };
  const [, atomic] = /^\s*BEGIN ATOMIC\s+([^;]*);\s*END\s*$/i.exec(body) ?? [];
  if (parsed && atomic !== undefined) return selectNode(atomic);
  throw new Unrecognised(`the body of ${name} is more than one expression or lookup`);
}

function sameOrText(value: Value, { returns, name }: ObservedFunction): Value {
  if (value.type === returns || (value.type === 'varchar' && returns === 'text') || (value.type === 'text' && returns === 'varchar')) return value;
  throw new Unrecognised(`the body of ${name} is of another type than it returns`);
}
