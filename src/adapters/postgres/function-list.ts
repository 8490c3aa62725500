// The functions that a term may call: what they take and return, and which literals keep them from failing on a client's data.
import type { functionNames } from '../../model/schema/term.ts';
import { builtInType, type SqlType, textArrayType, textType, unfit } from './sql-type.ts';

export type Parameter =
  | 'text'
  /** Those that would be an error for some values are literals, checked here. */
  | 'literal'
  | 'anyInteger'
  | 'nonZero'
  | 'nonNegative'
  | 'unit'
  | 'field'
  | 'time'
  | 'jsonb'
  | 'array'
  | 'inet'
  | 'same';

export interface Signature {
  readonly parameters: readonly Parameter[];
  /** How many of them may be left out, from the end. */
  readonly optional?: number;
  /** `same`: the type of the argument that is a time, or of the first column. */
  readonly returns: SqlType | 'same';
}

const int4 = builtInType('int4', 'N');
const ofText: Signature = { parameters: ['text'], returns: textType };
const trim: Signature = { parameters: ['text', 'text'], optional: 1, returns: textType };
const side: Signature = { parameters: ['text', 'anyInteger'], returns: textType };

const signatures: Readonly<Record<(typeof functionNames)[number], Signature>> = {
  lower: ofText,
  upper: ofText,
  btrim: trim,
  ltrim: trim,
  rtrim: trim,
  left: side,
  right: side,
  substr: { parameters: ['text', 'anyInteger', 'nonNegative'], optional: 1, returns: textType },
  split_part: { parameters: ['text', 'literal', 'nonZero'], returns: textType },
  replace: { parameters: ['text', 'literal', 'literal'], returns: textType },
  strpos: { parameters: ['text', 'text'], returns: int4 },
  length: { parameters: ['text'], returns: int4 },
  starts_with: { parameters: ['text', 'text'], returns: builtInType('bool', 'B') },
  string_to_array: { parameters: ['text', 'literal'], returns: textArrayType },
  coalesce: { parameters: ['same', 'same', 'same', 'same'], optional: 3, returns: 'same' },
  // Even where it is empty, which a plain setting takes for unknown.
  current_setting: { parameters: ['literal'], returns: textType },
  date_trunc: { parameters: ['unit', 'time'], returns: 'same' },
  date_part: { parameters: ['field', 'time'], returns: builtInType('float8', 'N') },
  jsonb_extract_path_text: { parameters: ['jsonb', 'text', 'text', 'text'], optional: 2, returns: textType },
  cardinality: { parameters: ['array'], returns: int4 },
  host: { parameters: ['inet'], returns: textType },
};

const units = ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'];
const fields = [...units, 'dow', 'isodow', 'doy', 'isoyear', 'epoch'];

/** Throws BadPredicate for a function that terms may not call, or not with so many arguments. */
export function signatureOf(name: string, argumentCount: number): Signature {
  if (!isListed(name)) throw unfit(`function ${JSON.stringify(name)} is not one of those that terms may call`, `use one of ${Object.keys(signatures).join(', ')}`);
  const signature = signatures[name];
  const most = signature.parameters.length;
  const least = most - (signature.optional ?? 0);
  if (argumentCount >= least && argumentCount <= most) return signature;
  throw unfit(`${name} takes ${least === most ? most : `${least} to ${most}`} arguments, not ${argumentCount}`, 'correct its args');
}

/** The integer of a literal, in the range that the function takes without an error. */
export function integerOf(text: string, parameter: Parameter, name: string): number {
  const number = Number(text);
  const outside = (parameter === 'nonZero' && number === 0) || (parameter === 'nonNegative' && number < 0);
  if (/^-?[0-9]{1,6}$/.test(text) && !outside) return number;
  throw unfit(`${JSON.stringify(text)} is no number that ${name} takes`, 'write a whole number');
}

export function requireUnit(text: string, parameter: 'unit' | 'field'): void {
  const known = parameter === 'unit' ? units : fields;
  if (!known.includes(text)) throw unfit(`${JSON.stringify(text)} is no unit of time`, `write one of ${known.join(', ')}`);
}

function isListed(name: string): name is keyof typeof signatures {
  return Object.hasOwn(signatures, name);
}
