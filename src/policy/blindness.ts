// Names the roles that will see nothing once row security binds them: the surprise of every first rollout.
import type { CompiledTable } from './compiled.ts';
import { everyRole } from './desired.ts';
import type { ObservedTable } from './observed.ts';

const mostNames = 12;

/** A clause for the reason of a step; empty when every reader has a policy that may show it something. */
export function blindness({ policies }: CompiledTable, { readers, policies: observed }: ObservedTable): string {
  const shown = [...policies, ...observed].filter(({ as, command }) => as === 'Permissive' && (command === 'All' || command === 'Select'));
  const roles = new Set(shown.flatMap((policy) => policy.roles));
  if (roles.has(everyRole)) return '';
  const blind = readers.filter(({ name, actsAs }) => !roles.has(name) && !actsAs.some((role) => roles.has(role))).map(({ name }) => name);
  if (blind.length === 0) return '';
  const more = blind.length > mostNames ? ` and ${blind.length - mostNames} more` : '';
  return `; roles that may read it now and will see nothing: ${blind.slice(0, mostNames).join(', ')}${more}`;
}
