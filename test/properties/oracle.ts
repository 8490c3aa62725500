// The oracle: which rows a role may read or write under a set of policies, by SQL's own rules, without any SQL.
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import type { State } from './states.ts';
import { type Claims, type RoleId, roles, type Row, rows, type TableId } from './world.ts';

type Rule = RowPolicySpec['rules'][number];
type Predicate = NonNullable<Rule['using']>;
type Term = NonNullable<Predicate['all']>[number];
export type Command = 'Select' | 'Insert' | 'Update' | 'Delete';
/** Unknown is undefined, as SQL's NULL. */
type Truth = boolean | undefined;

/** A table as it is in force. */
export interface TableState {
  /**
   * One RowPolicy restored the table while another let it go: whichever comes last decides whether it ends as it was
   * before or closed; as long as it has no policies it is as open as this state says, or closed.
   */
  readonly orClosed?: true;
  readonly rowSecurity: boolean;
  readonly forced: boolean;
  readonly policies: readonly { readonly owner: string; readonly rule: Rule }[];
}
export type WorldState = Readonly<Record<TableId, TableState>>;

export interface Who {
  readonly role: RoleId;
  readonly claims: Claims;
}

const ungoverned: TableState = { rowSecurity: false, forced: false, policies: [] };
export const emptyWorld: WorldState = { orders: ungoverned, invoices: ungoverned, members: ungoverned };

/** The state in force once `next` is declared after `before`, of which `previous` was declared. */
export function transition(before: WorldState, previous: State, next: State): WorldState {
  const after = (table: TableId): TableState => tableAfter(table, before[table], { previous, next });
  return { orders: after('orders'), invoices: after('invoices'), members: after('members') };
}

function tableAfter(table: TableId, before: TableState, { previous, next }: { readonly previous: State; readonly next: State }): TableState {
  const governing = next.filter((policy) => policy.tables.includes(table));
  const removed = previous.filter((policy) => !next.some(({ name }) => name === policy.name));
  const kept = before.policies.filter(({ owner }) => !next.some(({ name }) => name === owner) && removed.find(({ name }) => name === owner)?.deletionPolicy !== 'Restore');
  const policies = [...kept, ...governing.flatMap(({ name, rules }) => rules.map((rule) => ({ owner: name, rule })))];
  const restores = removed.some(({ name, deletionPolicy }) => deletionPolicy === 'Restore' && before.policies.some(({ owner }) => owner === name));
  if (restores && policies.length === 0) {
    const alone = before.orClosed !== true && before.policies.every(({ owner }) => removed.some(({ name }) => name === owner));
    return alone ? ungoverned : { ...ungoverned, orClosed: true };
  }
  const rowSecurity = before.rowSecurity || governing.length > 0;
  return { ...(before.orClosed === true ? { orClosed: true } : {}), rowSecurity, forced: governing.length === 0 ? before.forced : governing.some((policy) => policy.rowSecurity === 'Forced'), policies };
}

/** Ids of the rows that a command reaches: what USING lets through. */
export function reachable(state: TableState, command: Exclude<Command, 'Insert'>, who: Who): ReadonlySet<number> {
  return new Set(rows.filter((row) => admits(state, { command, side: 'using', row, who })).map(({ id }) => id));
}

/** Whether a new row may be written: what WITH CHECK lets through. An UPDATE has to reach the old row, besides. */
export function writable(state: TableState, command: 'Insert' | 'Update', row: Row, who: Who): boolean {
  return admits(state, { command, side: 'check', row, who });
}

interface Question {
  readonly command: Command;
  readonly side: 'using' | 'check';
  readonly row: Row;
  readonly who: Who;
}

function admits(state: TableState, { command, side, row, who }: Question): boolean {
  if (!state.rowSecurity || (who.role === 'keeper' && !state.forced)) return true;
  const applying = state.policies.map(({ rule }) => rule).filter((rule) => appliesTo(rule, command, who.role));
  const holds = (rule: Rule): boolean => truthOf(predicateFor(rule, side), row, who) === true;
  const permissive = applying.filter((rule) => rule.as !== 'Restrictive');
  return permissive.some(holds) && applying.filter((rule) => rule.as === 'Restrictive').every(holds);
}

function appliesTo(rule: Rule, command: Command, role: RoleId): boolean {
  const forRole = rule.roles.some((name) => name === 'PUBLIC' || (roles[role] as readonly string[]).includes(name));
  return forRole && rule.commands.some((name) => name === 'All' || name === command);
}

function predicateFor(rule: Rule, side: 'using' | 'check'): Predicate {
  return (side === 'check' ? (rule.check ?? rule.using) : rule.using) ?? { all: [] };
}

function truthOf(predicate: Predicate, row: Row, who: Who): Truth {
  const alternatives = predicate.any?.map(({ all }) => all) ?? [predicate.all ?? []];
  return alternatives.map((terms) => terms.map((term) => termTruth(term, row, who)).reduce<Truth>(and, true)).reduce<Truth>(or, false);
}

function termTruth(term: Term, row: Row, { claims }: Who): Truth {
  const truth = plainTruth(term, row, claims);
  return term.not === true && truth !== undefined ? !truth : truth;
}

function plainTruth(term: Term, row: Row, claims: Claims): Truth {
  const left = row[term.column as keyof Row];
  if (term.member !== undefined) {
    // An unknown claim makes nobody a member, and nobody a non-member either.
    if (left === null || claims?.['sub'] === undefined) return undefined;
    return rows.some((member) => member.user_id === claims['sub'] && member.team === left);
  }
  if (term.op === 'IsNull') return left === null;
  if (term.values !== undefined) return left === null ? undefined : term.values.includes(String(left));
  const right = term.claim === undefined ? Number(term.value) : claims?.[term.claim[0] ?? ''];
  if (left === null || right === undefined) return undefined;
  return compare(term.op, left, right);
}

function compare(op: Term['op'], left: string | number, right: string | number): boolean {
  switch (op) {
    case 'Eq':
      return left === right;
    case 'Ne':
      return left !== right;
    case 'Lt':
      return left < right;
    case 'Lte':
      return left <= right;
    case 'Gt':
      return left > right;
    case 'Gte':
      return left >= right;
    default:
      throw new Error(`the oracle does not know ${String(op)}`);
  }
}

function and(a: Truth, b: Truth): Truth {
  return a === false || b === false ? false : a === undefined || b === undefined ? undefined : true;
}

function or(a: Truth, b: Truth): Truth {
  return a === true || b === true ? true : a === undefined || b === undefined ? undefined : false;
}
