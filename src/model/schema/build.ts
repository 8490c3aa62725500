// Small words for writing structural schemas: each field gets a description and a bound, each rule is written
// once as CEL for the API server and once as a function for standalone mode.
import { Type, type Static, type TSchema } from 'typebox';

export interface ValidationRule {
  /** CEL, evaluated by the API server on `self` (and `oldSelf` for transition rules). */
  readonly rule: string;
  /** The sentence a person reads when the rule refuses an object. */
  readonly message: string;
  /** The same rule for standalone mode. */
  readonly holds?: (self: never) => boolean;
  /** The same for a transition rule, which looks at what was there before. Each rule has exactly one of the two. */
  readonly keeps?: (self: never, oldSelf: never) => boolean;
}

/** String values out of a closed set. */
export function oneOf<const T extends readonly string[]>(values: T, description: string) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...values], description });
}

export function text(description: string, maxLength: number, options: { pattern?: string; minLength?: number } = {}) {
  return Type.String({ description, minLength: options.minLength ?? 1, maxLength, ...(options.pattern === undefined ? {} : { pattern: options.pattern }) });
}

export function integer(description: string, minimum: number, maximum: number) {
  return Type.Integer({ description, minimum, maximum });
}

export function list<S extends TSchema>(items: S, description: string, maxItems: number, minItems = 1) {
  return Type.Array(items, { description, minItems, maxItems });
}

/** A list that server-side apply merges by the field `key`. */
export function mapList<S extends TSchema>(items: S, key: string, options: { description: string; maxItems: number; minItems?: number }) {
  return Type.Array(items, {
    description: options.description,
    minItems: options.minItems ?? 1,
    maxItems: options.maxItems,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [key],
  });
}

/** Free keys with values of one shape; structural schemas know `additionalProperties`, not patterns. */
export function mapOf<S extends TSchema>(values: S, description: string, maxProperties: number) {
  return Type.Unsafe<Record<string, Static<S>>>({ type: 'object', additionalProperties: values, description, maxProperties });
}

export function rules(...all: readonly ValidationRule[]) {
  return { 'x-kubernetes-validations': all };
}

/** A duration such as `500ms`, `10s`, `5m`, `24h`. */
export function duration(description: string) {
  return text(`${description} A whole number with a unit: ms, s, m or h.`, 12, { pattern: '^[0-9]{1,8}(ms|s|m|h)$' });
}

/** A size in bytes such as `8Mi`. */
export function byteSize(description: string) {
  return text(`${description} A whole number, optionally with Ki, Mi or Gi.`, 16, { pattern: '^[0-9]{1,12}(Ki|Mi|Gi)?$' });
}

/** The name of a Kubernetes object or namespace. */
export function objectName(description: string) {
  return text(description, 253, { pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' });
}

/** A PostgreSQL identifier, written exactly as the catalog stores it. */
export function sqlName(description: string) {
  return text(description, 63);
}

/** The key of an entry in a map list: short, so that names made from it stay within 63 bytes. */
export function entryName(description: string) {
  return text(description, 63, { pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' });
}
