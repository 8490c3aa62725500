// The digest that an approval names: of exactly this plan, made from this spec, for this database as it was observed (DESIGN §3, Approval).
import { createHash } from 'node:crypto';
import type { RowPolicySpec } from '../model/kinds.ts';
import type { Observation } from './observed.ts';
import type { Plan } from './step.ts';

export interface ApprovedPlace {
  readonly systemIdentifier: string;
  readonly database: string;
}

/** `sha256:<hex>`; any change of spec, server, database, steps, tables or roles makes it another one, and so does applying it. */
export function approvalDigest(plan: Plan, spec: RowPolicySpec, observation: Observation, { systemIdentifier, database }: ApprovedPlace): string {
  const bound = sortedJson({ plan: plan.digest, spec, roles: observation.roles, revision: observation.revision, systemIdentifier, database });
  return `sha256:${createHash('sha256').update(bound).digest('hex')}`;
}

/** JSON with sorted keys: an API server and a YAML file may give a spec's fields in another order. */
function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_key, child: unknown) =>
    typeof child === 'object' && child !== null && !Array.isArray(child) ? Object.fromEntries(Object.entries(child).sort(([a], [b]) => (a < b ? -1 : 1))) : child,
  );
}
