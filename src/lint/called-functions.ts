// Functions that an expression or a body calls, and what their bodies ask of the session: found by name, since a body has no tree here.
import type { CatalogFunction } from '../policy/catalog.ts';
import { type Expression, partsThat } from '../policy/expression.ts';
import type { Landscape } from './landscape.ts';
import { remembered } from './remembered.ts';

export interface CalledFunctions {
  /** Those that the expression itself calls; every overload of a name. */
  readonly calledIn: (expression: Expression) => readonly CatalogFunction[];
  /** Every overload; without a schema, in any. */
  readonly named: (schema: string | undefined, name: string) => readonly CatalogFunction[];
  /** Those that the body names, schema-qualified or not, and those that they name. */
  readonly calledBy: (caller: CatalogFunction) => readonly CatalogFunction[];
  /** Settings that the function reads, itself or through others. */
  readonly settingsOf: (called: CatalogFunction) => readonly string[];
  /** Whether the result depends on who asks: a setting, or the session's user. `current_user` does not count in a definer function, which is its owner there. */
  readonly asksWhoCalls: (called: CatalogFunction) => boolean;
}

export type FunctionCall = Extract<Expression, { kind: 'Function' }>;

export function functionCalls(expression: Expression): readonly FunctionCall[] {
  return partsThat(expression, (part): part is FunctionCall => part.kind === 'Function');
}

export function calledFunctions(landscape: Landscape): CalledFunctions {
  return landscape.once(readBodies);
}

function readBodies({ catalog }: Landscape): CalledFunctions {
  const byName = Map.groupBy(catalog.functions, (each) => each.name);
  const named = (schema: string | undefined, name: string) => (byName.get(name) ?? []).filter((each) => schema === undefined || each.schema === schema);
  const direct = remembered((caller: CatalogFunction): readonly CatalogFunction[] => {
    const calls = [...codeOf(caller).matchAll(/(?:("[^"]+"|[a-z_][\w$]*)\s*\.\s*)?("[^"]+"|[a-z_][\w$]*)\s*\(/gi)];
    return [...new Set(calls.flatMap(([, schema, name]) => named(schema === undefined ? undefined : folded(schema), folded(name ?? ''))))];
  });
  const calledBy = remembered((caller: CatalogFunction): readonly CatalogFunction[] => {
    const all = new Set([caller]);
    for (const each of all) for (const called of direct(each)) all.add(called);
    all.delete(caller);
    return [...all];
  });
  return {
    calledIn: remembered((expression: Expression) => [...new Set(functionCalls(expression).flatMap((call) => (call.schema === undefined ? [] : named(call.schema, call.name))))]),
    named,
    calledBy,
    settingsOf: remembered((called: CatalogFunction) => [...new Set([called, ...calledBy(called)].flatMap(settingsIn))]),
    asksWhoCalls: remembered((called: CatalogFunction) => [called, ...calledBy(called)].some((each) => asksItself(each))),
  };
}

function settingsIn(called: CatalogFunction): readonly string[] {
  return [...codeOf(called).matchAll(/\bcurrent_setting\s*\(\s*'([^']+)'/gi)].map(([, setting]) => setting ?? '');
}

function asksItself(called: CatalogFunction): boolean {
  const code = codeOf(called);
  return /\bcurrent_setting\s*\(|\bsession_user\b|\bsystem_user\b/i.test(code) || (!called.definer && /\b(?:current_user|current_role)\b/i.test(code));
}

/** Without comments; string literals stay, since dynamic SQL is written in them. */
export function codeOf({ source }: CatalogFunction): string {
  return (source ?? '').replaceAll(/--[^\n]*/g, ' ').replaceAll(/\/\*[\s\S]*?\*\//g, ' ');
}

/** A name as PostgreSQL looks it up. */
export function folded(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
}
