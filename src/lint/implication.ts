// Whether one condition holds whenever another does, as far as their shapes prove it. Never claims what it cannot prove.
import type { Expression } from '../policy/expression.ts';

export const always: Expression = { kind: 'Constant', value: true };
export const neverTrue: Expression = { kind: 'Constant', value: false };

/** Everything that is `true` for `narrow` is so for `wide`. */
export function implies(narrow: Expression, wide: Expression): boolean {
  if (isConstant(wide, true) || isConstant(narrow, false) || sameExpression(narrow, wide)) return true;
  if (narrow.kind === 'Or') return narrow.args.every((arm) => implies(arm, wide));
  if (wide.kind === 'And') return wide.args.every((part) => implies(narrow, part));
  if (narrow.kind === 'And' && narrow.args.some((part) => implies(part, wide))) return true;
  return wide.kind === 'Or' && wide.args.some((arm) => implies(narrow, arm));
}

export function isConstant(expression: Expression, value: boolean): boolean {
  return expression.kind === 'Constant' && expression.value === value;
}

function sameExpression(a: Expression, b: Expression): boolean {
  return a === b || (a.kind === b.kind && sameValue(a, b));
}

function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [inA, inB] = [Object.entries(a), Object.entries(b)];
  return inA.length === inB.length && inA.every(([key, value], index) => inB[index]?.[0] === key && sameValue(value, inB[index][1]));
}
