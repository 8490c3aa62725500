// Tries each policy's expression by itself, as the role, on copies of a table's first rows; no value leaves the server, only places of rows.
import type { ExplainedPolicy, Explanation } from '../../policy/explanation.ts';
import type { ObservedTable } from '../../policy/observed.ts';
import type { CommandTools } from './command-session.ts';
import { errorCodeOf, sayable } from './database-error.ts';
import { type Actor, asActor, rolledBack, statementLimitSeconds } from './evaluate.ts';
import { type ExplainRequest, valueAt } from './explain-request.ts';
import { readsOf } from './expression-reads.ts';
import { quoteTable } from './quote.ts';
import { readRealRows, type TextRows } from './real-rows.ts';
import { fillCopy } from './rehearsal.ts';
import { onCopy, retargetText } from './retarget.ts';
import type { RunQuery } from './run-query.ts';
import { createCopies, grantOnCopy } from './scratch.ts';
import { onCopiesAs } from './tested-claims.ts';
import { testableRoles } from './testable-roles.ts';

export interface Trying {
  readonly request: ExplainRequest;
  readonly table: ObservedTable;
  readonly policies: readonly ExplainedPolicy[];
}

type Tried = Pick<Explanation, 'policies' | 'rows' | 'notCounted'>;

export async function tryPolicies({ session, probe }: CommandTools, trying: Trying, signal: AbortSignal): Promise<Tried> {
  const { request, table, policies } = trying;
  const against = await session.exclusively((query) => testableRoles(query, [request.role]), signal);
  const [untestable] = against.values();
  if (untestable !== undefined) return { policies, notCounted: untestable };
  const { rows, cut, refusal } = await session.exclusively((query) => readRealRows(query, table, { first: request.first }), signal);
  if (rows === undefined) return { policies, notCounted: refusal ?? '' };
  const sights = await probe.use([request.role], (query) => rolledBack(query, () => sightsOf(query, trying, rows)), signal);
  return { ...judged(policies, sights), rows: { looked: rows.length, all: cut !== true, ...admittedBy(policies, sights) } };
}

/** By policy: the places of the rows its expression admits, or why it fails; what else stands out. */
interface Sight {
  readonly places?: ReadonlySet<string>;
  readonly fails?: string;
  readonly notes: readonly string[];
}

async function sightsOf(query: RunQuery, { request, table, policies }: Trying, rows: TextRows): Promise<ReadonlyMap<string, Sight>> {
  const copy = onCopy(table);
  await createCopies(query, [copy]);
  await fillCopy(query, copy, rows);
  await grantOnCopy(query, copy.table, { rights: 'select', roles: [request.role] });
  await query(`revoke all on ${quoteTable(copy.table)} from current_user`);
  const claimed = onCopiesAs(request.role, request.claims, request.way);
  const actor = { ...claimed, settings: { ...request.settings, ...claimed.settings } };
  const sights = new Map<string, Sight>();
  for (const policy of policies) {
    if (policy.notFor !== undefined || policy.expression === undefined) continue;
    const expression = await retargetText(policy.expression, [table]);
    const sight = await trial(query, actor, `select ctid::text as id from ${quoteTable(copy.table)} where (\n${expression}\n)`);
    sights.set(policy.name, { ...sight, notes: await uncastable(query, actor, { request, expression: policy.expression }) });
  }
  return sights;
}

async function trial(query: RunQuery, actor: Actor, sql: string): Promise<Omit<Sight, 'notes'>> {
  try {
    const found = await asActor(query, actor, () => query<{ id: string }>(sql));
    return { places: new Set(found.map((row) => row.id)) };
  } catch (error) {
    const code = errorCodeOf(error) ?? '';
    if (code === '' || code.startsWith('57P')) throw error;
    if (code === '57014') return { fails: `it took longer than ${statementLimitSeconds} s` };
    if (code === '25006') return { fails: 'it writes, which is not tried out' };
    return { fails: code.startsWith('22') ? `a value cannot be cast or computed (SQLSTATE ${code})` : sayable(error) };
  }
}

/** What stands in a policy's text is somebody else's: a name, quoted or not, and nothing more, becomes SQL. */
const typeName = /^("[^"]+"|[a-z_][a-z0-9_ ]*)(\.("[^"]+"|[a-z_][a-z0-9_]*))?(\[\])?$/;

/** Claims that are there, and fit none of the types they are checked against: such a cast is NULL, and denies. */
async function uncastable(query: RunQuery, actor: Actor, { request, expression }: { readonly request: ExplainRequest; readonly expression: string }): Promise<readonly string[]> {
  const notes: string[] = [];
  for (const { path, types } of (await readsOf(expression)).claims) {
    const value = valueAt(request.claims, path);
    if (value === undefined || value === null || typeof value === 'object') continue;
    for (const type of types.filter((each) => typeName.test(each))) {
      const fits = await asActor(query, actor, () => query(`select cast($1::text as ${type})`, [typeof value === 'string' ? value : JSON.stringify(value)])).then(
        () => true,
        (error: unknown) => !(errorCodeOf(error) ?? '').startsWith('22'),
      );
      if (!fits) notes.push(`the claim ${path.join('.')} is no valid ${type.replaceAll('"', '').replace('pg_catalog.', '')}, so it counts as unknown`);
    }
  }
  return notes;
}

function judged(policies: readonly ExplainedPolicy[], sights: ReadonlyMap<string, Sight>): Pick<Explanation, 'policies'> {
  const admitted = admittedPlaces(policies, sights);
  return {
    policies: policies.map((policy) => {
      const sight = sights.get(policy.name);
      if (sight === undefined) return policy;
      const { places, fails, notes } = sight;
      const removes = policy.as === 'Restrictive' && places !== undefined ? { removes: [...admitted].filter((id) => !places.has(id)).length } : {};
      return { ...policy, ...(places === undefined ? {} : { admits: places.size }), ...removes, ...(fails === undefined ? {} : { fails }), notes: [...policy.notes, ...notes] };
    }),
  };
}

function admittedPlaces(policies: readonly ExplainedPolicy[], sights: ReadonlyMap<string, Sight>): ReadonlySet<string> {
  return new Set(policies.filter((policy) => policy.as === 'Permissive').flatMap((policy) => [...(sights.get(policy.name)?.places ?? [])]));
}

function admittedBy(policies: readonly ExplainedPolicy[], sights: ReadonlyMap<string, Sight>): { readonly admitted?: number } {
  if ([...sights.values()].some((sight) => sight.fails !== undefined)) return {};
  const restrictive = policies.filter((policy) => policy.as === 'Restrictive' && sights.has(policy.name)).map((policy) => sights.get(policy.name)?.places ?? new Set());
  return { admitted: [...admittedPlaces(policies, sights)].filter((id) => restrictive.every((places) => places.has(id))).length };
}
