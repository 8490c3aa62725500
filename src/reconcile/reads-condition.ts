// The condition ReadsRecorded of an AuditPolicy: whether logins and reads are taken from the server's log, and why not.
import type { ConditionUpdate } from '../model/condition.ts';
import type { AuditPolicySpec } from '../model/kinds.ts';
import type { AuditStatus } from '../ports/audit-runtime.ts';

const type = 'ReadsRecorded';

export function readsCondition(spec: AuditPolicySpec, reads: AuditStatus['reads']): ConditionUpdate {
  if (spec.reads === undefined) return { type, status: 'False', reason: 'NotAskedFor', message: 'logins and reads are not recorded: PostgreSQL has them in its own log only, see spec.reads' };
  if (reads === undefined) return { type, status: 'False', reason: 'NoServerLog', message: 'the DatabaseConnection does not say where the server log is: set its spec.serverLog' };
  if (reads.problem !== undefined) return { type, status: 'False', reason: reads.problem.code, message: reads.problem.describe() };
  return { type, status: 'True', reason: 'Following', message: 'logins (log_connections) and reads (pgaudit) are taken from the server log, as far as the server writes them' };
}
