// What an expression's names mean while it is recognised, and what its parts are recognised as.
import type { ObservedFunction, ObservedTable } from '../../policy/observed.ts';
import type { Operand, Term } from '../../policy/predicate.ts';
import type { TableName } from '../../policy/table-name.ts';
import { type Node, Unrecognised } from './recognise-node.ts';

export interface Meanings {
  readonly table: ObservedTable;
  readonly tableOf: (name: TableName) => ObservedTable | undefined;
  /** Whether some RowPolicy governs the table, so that terms read past its policies even before it has any. */
  readonly isGoverned: (name: TableName) => boolean;
  readonly functionsNamed: (schema: string, name: string) => readonly ObservedFunction[];
  /** The setting that holds the session's claims as JSON; none where claims come from elsewhere. */
  readonly claimsSetting?: string;
  /** Roles of the rule: whose eyes a lookup reads with. */
  readonly roles: readonly string[];
  /** True while another policy is only asked which rows it certainly shows: what is not understood of it shows none. */
  readonly proving?: boolean;
}

/** Whose rights a lookup reads with. */
type Reader = { readonly kind: 'caller' } | { readonly kind: 'owner'; readonly owner: string; readonly bypasses: boolean };

/** One table of a FROM, or the policy's own. */
export interface Source {
  readonly table: ObservedTable;
  readonly alias: string;
  readonly reader: Reader;
}

/** Claims JSON below a path, and one item of a claim that holds an array, besides what terms know. */
export type Part = Operand | { readonly kind: 'document'; readonly setting: string; readonly path: readonly string[] } | { readonly kind: 'item'; readonly path: readonly string[] };

/** A value that is `part` where all guards hold; exactly one case applies, or the value is NULL. */
export interface Case {
  readonly guards: readonly Fact[];
  readonly part: Part;
  /** Of the columns in it. */
  readonly source?: Source;
}

export interface Value {
  /** The key of the type that PostgreSQL takes it as. */
  readonly type: string;
  readonly cases: readonly Case[];
}

/** A term, and the tables whose columns it speaks of. */
export interface Fact {
  readonly term: Term;
  readonly sources: readonly Source[];
  /** Equality of two columns of different tables: what a lookup hangs on. */
  readonly join?: readonly [ColumnOf, ColumnOf];
}

export interface ColumnOf {
  readonly source: Source;
  readonly name: string;
}

/** Alternatives, one of which must hold; none: never, an empty one: always. */
export type Facts = readonly (readonly Fact[])[];

export interface Level {
  readonly sources: readonly Source[];
  /** Columns of single-row sub-selects and parameters of a function; by name, and by `alias.name`. */
  readonly bound: ReadonlyMap<string, Value>;
}

/** The two questions that all parts of the recogniser ask each other. */
interface Recogniser {
  valueOf(node: Node, scope: Scope): Value;
  whenIs(positive: boolean, node: Node, scope: Scope): Facts;
}

export interface Scope {
  readonly recogniser: Recogniser;
  readonly meanings: Meanings;
  /** Innermost first. */
  readonly levels: readonly Level[];
  readonly reader: Reader;
  readonly searchPath?: readonly string[];
  /** How many functions deep. */
  readonly depth: number;
}

export const nothingBound: ReadonlyMap<string, Value> = new Map();

export function columnValue(path: readonly string[], scope: Scope): Value {
  for (const level of scope.levels) {
    const bound = level.bound.get(path.join('.'));
    const found = level.sources.filter((source) => (path.length === 1 || (path.length === 2 && source.alias === path[0])) && source.table.columns.some(({ name }) => name === path.at(-1)));
    const [source, other] = found;
    if (other !== undefined || (source !== undefined && bound !== undefined)) throw new Unrecognised(`the name ${path.join('.')} is ambiguous`);
    if (bound !== undefined) return bound;
    if (source !== undefined) return valueOfColumn(source, path.at(-1) ?? '');
  }
  throw new Unrecognised(`there is no column ${path.join('.')}`);
}

function valueOfColumn(source: Source, name: string): Value {
  const column = source.table.columns.find((candidate) => candidate.name === name);
  if (column === undefined) throw new Unrecognised(`there is no column ${name}`);
  const { schema, name: type } = column.baseType;
  return { type: schema === 'pg_catalog' ? type : `${schema}.${type}`, cases: [{ guards: [], part: { kind: 'column', name }, source }] };
}

export function single(type: string, part: Part): Value {
  return { type, cases: [{ guards: [], part }] };
}

/** All must hold: each alternative with each. */
export function both(a: Facts, b: Facts): Facts {
  const product = a.flatMap((left) => b.map((right) => withoutDoubles([...left, ...right]))).filter((facts) => !contradictory(facts));
  if (product.length > 64) throw new Unrecognised('it has too many alternatives');
  return product;
}

export function allOf(conditions: readonly Facts[]): Facts {
  return conditions.reduce<Facts>(both, [[]]);
}

export function either(alternatives: readonly Facts[]): Facts {
  const all = alternatives.flat();
  return all.some((facts) => facts.length === 0) ? [[]] : all;
}

function withoutDoubles(facts: readonly Fact[]): readonly Fact[] {
  return facts.filter((fact, index) => facts.findIndex((other) => sameFact(fact, other)) === index);
}

function sameFact(a: Fact, b: Fact): boolean {
  return a.sources.length === b.sources.length && a.sources.every((source, index) => source === b.sources[index]) && JSON.stringify(a.term) === JSON.stringify(b.term);
}

/** A setting that is unknown and yet compared: what fallbacks of fallbacks leave over, and no session fulfils. */
function contradictory(facts: readonly Fact[]): boolean {
  const unknown = facts.flatMap(({ term }) => (term.kind === 'isNull' && !term.not && term.operand.kind === 'setting' ? [term.operand.name] : []));
  return facts.some((fact) => settingsNeeded(fact).some((name) => unknown.includes(name)));
}

function settingsNeeded({ term }: Fact): readonly string[] {
  const operands = term.kind === 'isNull' ? (term.not ? [term.operand] : []) : term.kind === 'compare' ? [term.left, term.right] : [term.left];
  return operands.flatMap((operand) => {
    if (operand.kind === 'setting') return [operand.name];
    const [first] = operand.kind === 'function' && operand.name === 'jsonb_extract_path_text' ? operand.args : [];
    return first?.kind === 'setting' ? [first.name] : [];
  });
}
