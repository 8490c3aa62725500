// What in an expression the session says about its user: settings and the functions that read them, and where in them a value stands.
import { type Expression, holds, partsOf, partsThat } from '../policy/expression.ts';
import { calledFunctions, codeOf, type FunctionCall } from './called-functions.ts';
import type { Landscape } from './landscape.ts';
import { remembered } from './remembered.ts';

/** A value in a setting; a non-empty path leads into its JSON. */
export interface ClaimPlace {
  readonly setting: string;
  readonly path: readonly string[];
}

export interface Claims {
  /** Whether the expression or a part of it is a setting, or calls a function that reads one. */
  readonly dependsOnClaim: (expression: Expression) => boolean;
  /** Whether the call reads settings: `current_setting` itself, or a function of the database that does. */
  readonly isClaimCall: (part: Expression) => part is FunctionCall;
  /** Every setting that the expression reads, itself or through functions. */
  readonly settingsIn: (expression: Expression) => readonly string[];
  /** Where the claim in the expression stands, casts and wrapping put aside; undefined when that is not plain. */
  readonly placeOf: (expression: Expression) => ClaimPlace | undefined;
}

export function claimsOf(landscape: Landscape): Claims {
  return landscape.once(findClaims);
}

function findClaims(landscape: Landscape): Claims {
  const functions = calledFunctions(landscape);
  const settingOf = remembered((call: FunctionCall): readonly string[] => {
    if (call.schema !== undefined) return functions.named(call.schema, call.name).flatMap((called) => functions.settingsOf(called));
    const [name] = call.args;
    return call.name === 'current_setting' && name !== undefined ? [textOf(name) ?? ''] : [];
  });
  const isClaimCall = (part: Expression): part is FunctionCall => part.kind === 'Function' && settingOf(part).length > 0;
  const placeOf = (expression: Expression): ClaimPlace | undefined => {
    const place = findPlace(expression);
    // A witness may set what belongs to nobody, and none of the server's own settings.
    return place?.setting.includes('.') === true ? place : undefined;
  };
  const findPlace = (expression: Expression): ClaimPlace | undefined => {
    if (expression.kind === 'Function' && isClaimCall(expression)) {
      const [setting] = settingOf(expression);
      if (expression.schema === undefined) return setting === undefined || setting === '' ? undefined : { setting, path: [] };
      const [called] = functions.named(expression.schema, expression.name);
      return called === undefined ? undefined : placeInCode([called, ...functions.calledBy(called)].map(codeOf).join('\n'));
    }
    const key = expression.kind === 'Operator' && ['->', '->>'].includes(expression.operator) ? expression.args[1] : undefined;
    if (key !== undefined) {
      const [json] = partsOf(expression);
      const place = json === undefined ? undefined : findPlace(json);
      const name = textOf(key);
      return place === undefined || name === undefined ? undefined : { ...place, path: [...place.path, name] };
    }
    const [only, ...others] = partsOf(expression).filter((part) => holds(part, isClaimCall));
    return only === undefined || others.length > 0 ? undefined : findPlace(only);
  };
  return {
    dependsOnClaim: remembered((expression: Expression) => holds(expression, isClaimCall)),
    isClaimCall,
    settingsIn: remembered((expression: Expression) => [...new Set(partsThat(expression, isClaimCall).flatMap(settingOf))]),
    placeOf,
  };
}

/** Session settings under which the place holds the value. */
export function settingsWith({ setting, path }: ClaimPlace, value: string): Readonly<Record<string, string>> {
  const nested = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
  return { [setting]: path.length === 0 ? value : JSON.stringify(nested) };
}

/** A literal, through casts. */
export function textOf(expression: Expression): string | undefined {
  if (expression.kind === 'Constant') return typeof expression.value === 'string' ? expression.value : undefined;
  return expression.kind === 'Cast' ? textOf(expression.args[0]) : undefined;
}

/** The first setting that a body reads, and the keys that follow it. */
function placeInCode(code: string): ClaimPlace | undefined {
  const found = /\bcurrent_setting\s*\(\s*'([^']+)'/i.exec(code);
  const setting = found?.[1];
  if (setting === undefined) return undefined;
  const [rest = ''] = code.slice((found?.index ?? 0) + 1).split(/\bcurrent_setting\s*\(\s*'/i).slice(0, 1);
  const keys = [...code.slice(found?.index).slice(0, rest.length + 1).matchAll(/->>?\s*'([^']+)'/g)].map(([, key]) => key ?? '');
  return { setting, path: keys };
}
