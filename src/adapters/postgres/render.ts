// Steps to SQL statements, one a step.
import type { CompiledFunction, CompiledPolicy } from '../../policy/compiled.ts';
import type { Operation, Step } from '../../policy/step.ts';
import type { TableName } from '../../policy/table-name.ts';
import type { RenderedStep } from '../../ports/policy-database.ts';
import { quoteName, quoteRoles, quoteTable } from './quote.ts';

/** The statements of a plan with their reasons, in order. */
export function renderSteps(steps: readonly Step[]): readonly RenderedStep[] {
  return steps.map(({ operation, why, widening, mends }) => ({ sql: operationSql(operation), why, widening, ...(mends === true ? { mends } : {}) }));
}

export function operationSql(operation: Operation): string {
  switch (operation.kind) {
    case 'CreateFunction':
      return functionSql(operation.function);
    case 'EnableRowSecurity':
      return `alter table ${quoteTable(operation.table)} enable row level security`;
    case 'ForceRowSecurity':
      return `alter table ${quoteTable(operation.table)} force row level security`;
    case 'NoForceRowSecurity':
      return `alter table ${quoteTable(operation.table)} no force row level security`;
    case 'DisableRowSecurity':
      return `alter table ${quoteTable(operation.table)} disable row level security`;
    case 'CreatePolicy':
      return createPolicySql(operation.policy, operation.table);
    case 'AlterPolicy':
      return `alter policy ${quoteName(operation.policy.name)} on ${quoteTable(operation.table)} to ${quoteRoles(operation.policy.roles)}${expressionsSql(operation.policy)}`;
    case 'DropPolicy':
      return `drop policy ${quoteName(operation.name)} on ${quoteTable(operation.table)}`;
  }
}

/** What CREATE POLICY says; a copy's policy is no more than that. */
export type PolicyText = Pick<CompiledPolicy, 'name' | 'as' | 'command' | 'roles' | 'using' | 'check'>;

export function createPolicySql(policy: PolicyText, table: TableName): string {
  const head = `create policy ${quoteName(policy.name)} on ${quoteTable(table)} as ${policy.as.toLowerCase()} for ${policy.command.toLowerCase()}`;
  return `${head} to ${quoteRoles(policy.roles)}${expressionsSql(policy)}`;
}

/** A helper is for the roles of its policy alone, and nobody else's to alter: it reads past row security. */
export function functionSql({ schema, name, roles, definition }: CompiledFunction): string {
  const signature = `${quoteName(schema)}.${quoteName(name)}(text, jsonb)`;
  return `${definition};\nalter function ${signature} owner to current_user;\nrevoke all on function ${signature} from public;\ngrant execute on function ${signature} to ${quoteRoles(roles)}`;
}

function expressionsSql({ using, check }: Pick<CompiledPolicy, 'using' | 'check'>): string {
  return `${using === undefined ? '' : `\n  using (${using})`}${check === undefined ? '' : `\n  with check (${check})`}`;
}
