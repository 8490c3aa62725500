// What row security of a table is, now or after a plan's steps: flags and policies, whoever made them.
import type { ObservedPolicy, ObservedTable } from './observed.ts';
import type { Operation, Step } from './step.ts';
import { sameTable } from './table-name.ts';

export type StatedPolicy = Pick<ObservedPolicy, 'name' | 'as' | 'command' | 'roles' | 'using' | 'check'>;

export interface TableState {
  readonly rowSecurity: boolean;
  /** Binds the owner, too. */
  readonly forced: boolean;
  readonly policies: readonly StatedPolicy[];
}

export function stateNow({ rowSecurity, forced, policies }: ObservedTable): TableState {
  return { rowSecurity, forced, policies };
}

export function stateAfter(table: ObservedTable, steps: readonly Step[]): TableState {
  const operations = steps.map((step) => step.operation).filter((operation) => 'table' in operation && sameTable(operation.table, table.table));
  return operations.reduce(changed, stateNow(table));
}

function changed(state: TableState, operation: Operation): TableState {
  const without = (name: string) => state.policies.filter((policy) => policy.name !== name);
  switch (operation.kind) {
    case 'EnableRowSecurity':
      return { ...state, rowSecurity: true };
    case 'DisableRowSecurity':
      return { ...state, rowSecurity: false };
    case 'ForceRowSecurity':
      return { ...state, forced: true };
    case 'NoForceRowSecurity':
      return { ...state, forced: false };
    case 'CreatePolicy':
    case 'AlterPolicy':
      return { ...state, policies: [...without(operation.policy.name), operation.policy] };
    case 'DropPolicy':
      return { ...state, policies: without(operation.name) };
    default:
      return state;
  }
}
