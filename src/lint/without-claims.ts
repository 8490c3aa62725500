// What a condition comes to for a session that has said nothing about its user: PostgreSQL's three-valued logic over a tree, as far as it is known.
import type { Expression } from '../policy/expression.ts';

/** `unknown` depends on the row, or on something that is not worked out here. */
export type Truth = true | false | null | 'unknown';

export interface World {
  /** What a setting holds: null when it was never set, '' after a transaction that set it locally. */
  readonly setting: null | '';
  readonly isClaimCall: (part: Expression) => boolean;
  /** Columns of the row that are NULL, by name. */
  readonly nullColumns: ReadonlySet<string>;
}

/** A known value, the text of something that is the same within one row, or nothing known. */
type Value = { readonly known: string | number | boolean | null } | { readonly same: string } | undefined;

export function truthOf(expression: Expression, world: World): Truth {
  switch (expression.kind) {
    case 'And':
      return both(expression.args.map((part) => truthOf(part, world)), false);
    case 'Or':
      return both(expression.args.map((part) => truthOf(part, world)), true);
    case 'Not':
      return not(truthOf(expression.args[0], world));
    case 'Operator':
      return comparison(expression.operator, expression.args.map((part) => valueOf(part, world)));
    default: {
      const value = valueOf(expression, world);
      if (value === undefined || !('known' in value)) return 'unknown';
      return typeof value.known === 'boolean' || value.known === null ? value.known : 'unknown';
    }
  }
}

/** AND and OR: one side decides whatever the others are, NULL outlasts the other side. */
function both(truths: readonly Truth[], decisive: boolean): Truth {
  if (truths.includes(decisive)) return decisive;
  if (truths.includes('unknown')) return 'unknown';
  return truths.includes(null) ? null : !decisive;
}

function not(truth: Truth): Truth {
  return typeof truth === 'boolean' ? !truth : truth;
}

function comparison(operator: string, [left, right]: readonly Value[]): Truth {
  switch (operator) {
    case 'IS NULL':
      return left !== undefined && 'known' in left ? left.known === null : 'unknown';
    case 'IS NOT NULL':
      return not(comparison('IS NULL', [left]));
    case 'IS NOT DISTINCT FROM':
      return equal(left, right);
    case 'IS DISTINCT FROM':
      return not(equal(left, right));
    case '=':
      return isNull(left) || isNull(right) ? null : equal(left, right);
    case '<>':
    case '!=':
      return isNull(left) || isNull(right) ? null : not(equal(left, right));
    default:
      // Nearly every operator is strict.
      return isNull(left) || isNull(right) ? null : 'unknown';
  }
}

function isNull(value: Value): boolean {
  return value !== undefined && 'known' in value && value.known === null;
}

/** A column that is NULL is known to be, so what is the same here is not NULL, or not worth a finding. */
function equal(left: Value, right: Value): Truth {
  if (left === undefined || right === undefined) return 'unknown';
  if ('same' in left) return 'same' in right && left.same === right.same ? true : isNull(right) ? false : 'unknown';
  if ('same' in right) return isNull(left) ? false : 'unknown';
  return left.known === right.known;
}

function valueOf(expression: Expression, world: World): Value {
  switch (expression.kind) {
    case 'Constant':
      return { known: expression.value };
    case 'Column':
      return world.nullColumns.has(expression.path.at(-1) ?? '') ? { known: null } : { same: expression.path.at(-1) ?? '' };
    case 'Cast':
      return castOf(valueOf(expression.args[0], world), expression.type);
    case 'Function':
      return functionValue(expression, world);
    case 'Query':
      return expression.form === 'Scalar' && expression.reads.length === 0 && expression.where === undefined && expression.args[0] !== undefined ? valueOf(expression.args[0], world) : undefined;
    case 'Operator':
      return operatorValue(expression, world);
    case 'And':
    case 'Or':
    case 'Not': {
      const truth = truthOf(expression, world);
      return truth === 'unknown' ? undefined : { known: truth };
    }
    default:
      return undefined;
  }
}

/** A cast changes neither NULL nor what text is; anything else made of '' fails. */
function castOf(value: Value, type: string): Value {
  if (value === undefined || 'same' in value || value.known === null) return value;
  return ['text', 'varchar', 'bpchar', 'name', 'citext', 'bool'].includes(type) || value.known !== '' ? value : undefined;
}

function functionValue(expression: Extract<Expression, { kind: 'Function' }>, world: World): Value {
  if (expression.name === 'coalesce' && expression.schema === undefined) {
    const values = expression.args.map((part) => valueOf(part, world));
    return values.find((value) => !isNull(value)) ?? (values.every(isNull) ? { known: null } : undefined);
  }
  if (expression.name === 'current_setting' && expression.schema === undefined) {
    // With one argument a setting that was never set is an error.
    return world.setting === null && expression.args.length < 2 ? undefined : { known: world.setting };
  }
  // A function of the database that reads settings gives NULL where there are none, if it is written with care.
  if (world.isClaimCall(expression)) return { known: null };
  const [only, ...others] = expression.args.map((part) => valueOf(part, world));
  if (isNull(only)) return expression.schema === undefined && strictFunctions.has(expression.name) ? { known: null } : undefined;
  const unchanged = ['lower', 'upper', 'btrim'].includes(expression.name) && only !== undefined && 'known' in only && only.known === '' && others.length === 0;
  if (unchanged) return only;
  return expression.name === 'length' && only !== undefined && 'known' in only && only.known === '' ? { known: 0 } : undefined;
}

const strictFunctions: ReadonlySet<string> = new Set(['lower', 'upper', 'btrim', 'trim', 'length', 'char_length', 'md5', 'string_to_array', 'jsonb_extract_path_text', 'json_extract_path_text', 'position', 'strpos', 'starts_with']);

function operatorValue(expression: Extract<Expression, { kind: 'Operator' }>, world: World): Value {
  const [left, right] = expression.args.map((part) => valueOf(part, world));
  if (expression.operator === 'NULLIF') return isNull(left) ? left : equal(left, right) === true ? { known: null } : equal(left, right) === false ? left : undefined;
  const truth = comparison(expression.operator, [left, right]);
  return truth === 'unknown' ? undefined : { known: truth };
}
