// Names of SQL policies: readable, unique, and within the 63 bytes of a PostgreSQL identifier.
import { createHash } from 'node:crypto';
import type { ObjectKey } from '../model/kinds.ts';

const maxBytes = 63;
const hashLength = 16;

/**
 * `rowseal_<namespace>_<name>_<rule>[_<command>]`. Kubernetes names hold no underscore, so no two rules share a name;
 * a long one keeps its head and ends in a hash of the whole.
 */
export function policyName(owner: ObjectKey, rule: string, command?: string): string {
  return bounded(['rowseal', owner.namespace, owner.name, rule, ...(command === undefined ? [] : [command.toLowerCase()])].join('_'));
}

/** Name of the restrictive policy that FailClosed leaves behind: no rule has an empty name, so it can't be a rule's. */
export function closedPolicyName(owner: string): string {
  return bounded(`rowseal_${owner.replace('/', '_')}__closed`);
}

function bounded(name: string): string {
  if (Buffer.byteLength(name) <= maxBytes) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, hashLength);
  return `${name.slice(0, maxBytes - hashLength - 1)}_${hash}`;
}
