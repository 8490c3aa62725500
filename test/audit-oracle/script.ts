// One transaction being written: its statements, and what the log must hold for them, as the session's own model says.
import type { Random } from './random.ts';

/** Column values as PostgreSQL writes them. */
export type Row = Readonly<Record<string, string | null>>;

export interface Actor {
  readonly user: string;
  readonly role: string;
  readonly effective: string;
  readonly application: string;
  readonly claims: unknown;
}

export interface ExpectedChange {
  readonly table: string;
  readonly operation: 'insert' | 'update' | 'delete' | 'truncate';
  readonly before?: Row;
  readonly after?: Row;
  readonly actor: Actor;
  /** In a partition's first moments nobody may know who wrote: then the row may be unattributed, and nothing else. */
  readonly unattributedToo?: boolean;
}

export interface Step {
  readonly sql: string;
  /** Lines of COPY … FROM STDIN. */
  readonly copy?: string;
  /** The statement must fail; a savepoint catches it. */
  readonly fails?: boolean;
  /** What it changed is known from its result only. */
  readonly told?: (rows: readonly Row[]) => readonly ExpectedChange[];
}

/** What a session knows: its rows, and what it set. */
export interface Known {
  readonly tables: Map<string, Map<string, Row>>;
  wideColumns: { name: string; filler: string | null }[];
  areas: string[];
  role: string | undefined;
  claims: string | undefined;
  application: string;
}

type Outcome = readonly ExpectedChange[] | { readonly step: number };

export interface Script {
  readonly worker: number;
  readonly user: string;
  readonly random: Random;
  readonly known: Known;
  readonly steps: readonly Step[];
  /** Only separate statements can run it: it has a step that fails, copies, or tells. */
  readonly separate: () => boolean;
  run(sql: string, expected?: readonly ExpectedChange[]): void;
  step(step: Step, expected?: readonly ExpectedChange[]): void;
  /** What was changed at or before a savepoint stays; the rest, settings included, never was. */
  savepoint(): void;
  endSavepoint(how: 'release' | 'rollback'): void;
  readonly savepoints: () => number;
  /** An identifier that no row of any session ever had. */
  fresh(): number;
  /** Rows of a table that this session made. */
  rows(table: string): readonly Row[];
  change(table: string, change: { before?: Row | undefined; after?: Row | undefined }, effective?: string): ExpectedChange;
  readonly outcomes: () => readonly Outcome[];
}

export interface ScriptParts {
  readonly worker: number;
  readonly user: string;
  readonly random: Random;
  readonly known: Known;
  readonly fresh: () => number;
}

export function createScript(parts: ScriptParts): Script {
  const steps: Step[] = [];
  const saved: { readonly known: Known; readonly outcomes: number }[] = [];
  let outcomes: Outcome[] = [];
  const known: Known = { ...parts.known };
  const restore = (from: Known): void => void Object.assign(known, structuredClone(from));
  restore(parts.known);
  const step = (next: Step, expected: readonly ExpectedChange[] = []): void => {
    steps.push(next);
    if (expected.length > 0) outcomes.push(expected);
    if (next.told !== undefined) outcomes.push({ step: steps.length - 1 });
  };
  return {
    ...parts,
    known,
    steps,
    step,
    run: (sql, expected) => step({ sql }, expected),
    separate: () => steps.some(({ copy, fails, told }) => copy !== undefined || fails === true || told !== undefined),
    savepoint: () => {
      saved.push({ known: structuredClone(known), outcomes: outcomes.length });
      steps.push({ sql: `savepoint s${saved.length}` });
    },
    endSavepoint: (how) => {
      const name = `s${saved.length}`;
      const at = saved.pop();
      if (at === undefined) throw new Error('no savepoint is open');
      if (how === 'rollback') {
        restore(at.known);
        outcomes = outcomes.slice(0, at.outcomes);
      }
      steps.push({ sql: how === 'release' ? `release savepoint ${name}` : `rollback to savepoint ${name}` });
    },
    savepoints: () => saved.length,
    rows: (table) => [...(known.tables.get(table)?.values() ?? [])],
    change: (table, { before, after }, effective) => {
      apply(known, table, { before, after });
      const operation = before === undefined ? 'insert' : after === undefined ? 'delete' : 'update';
      return { table, operation, ...(before && { before }), ...(after && { after }), actor: actorOf(parts.user, known, effective) };
    },
    outcomes: () => outcomes,
  };
}

function apply(known: Known, table: string, { before, after }: { before?: Row | undefined; after?: Row | undefined }): void {
  const root = table.startsWith('region_') ? 'region' : table;
  const rows = known.tables.get(root) ?? new Map<string, Row>();
  known.tables.set(root, rows);
  if (before !== undefined) rows.delete(String(before['id']));
  if (after !== undefined) rows.set(String(after['id']), after);
}

export function actorOf(user: string, { role, claims, application }: Known, effective?: string): Actor {
  const taken = role ?? user;
  return { user, role: taken, effective: effective ?? taken, application, claims: claims === undefined ? null : JSON.parse(claims) };
}
