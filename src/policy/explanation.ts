// Why a role sees which rows of a table: what was found out, as values, and what follows from it in sentences.
import { counted } from '../model/counted.ts';
import type { Command, PolicyMode } from './desired.ts';
import { describeTable, type TableName } from './table-name.ts';

export type ExplainedCommand = Exclude<Command, 'All'>;

export interface ExplainedRole {
  readonly name: string;
  readonly superuser: boolean;
  readonly bypassesRowSecurity: boolean;
  /** Has the rights of the table's owner. */
  readonly owns: boolean;
  readonly schemaUsage: boolean;
  /** On the table, or on one of its columns at least. */
  readonly privilege: boolean;
}

export interface ExplainedPolicy {
  readonly name: string;
  readonly as: PolicyMode;
  readonly command: Command;
  readonly roles: readonly string[];
  /** What decides for the command, as PostgreSQL deparses it. */
  readonly expression?: string;
  /** Why it says nothing about this role and command; it applies when left out. */
  readonly notFor?: string;
  /** Rows of those looked at that its expression admits; absent where it was not or could not be evaluated. */
  readonly admits?: number;
  /** Of the rows that permissive policies admit, those that this restrictive one takes away. */
  readonly removes?: number;
  /** What the server answered when it was evaluated; never a value. */
  readonly fails?: string;
  /** What about the session stands out: missing claims, empty settings, values that cannot be cast. */
  readonly notes: readonly string[];
}

export interface Explanation {
  readonly table: TableName;
  readonly command: ExplainedCommand;
  readonly role: ExplainedRole;
  readonly owner: string;
  readonly rowSecurity: boolean;
  readonly forced: boolean;
  readonly policies: readonly ExplainedPolicy[];
  /** Rows that were copied and looked at, and whether that is all of them. */
  readonly rows?: { readonly looked: number; readonly all: boolean; readonly admitted?: number };
  /** Why no rows were looked at. */
  readonly notCounted?: string;
  readonly summary: readonly string[];
}

const verbs: Readonly<Record<ExplainedCommand, string>> = { Select: 'see', Insert: 'insert', Update: 'update', Delete: 'delete' };

/** The sentences that answer the question, the decisive one first. */
export function summarize(found: Omit<Explanation, 'summary'>): readonly string[] {
  return [...(missingRights(found) ?? exemption(found) ?? decision(found)), ...alsoNeeded(found)];
}

function missingRights({ role, table, command }: Omit<Explanation, 'summary'>): readonly string[] | undefined {
  if (role.superuser) return undefined;
  if (!role.schemaUsage) return [`${role.name} lacks USAGE on schema ${table.schema}: every statement fails with "permission denied"`];
  return role.privilege ? undefined : [`${role.name} lacks ${command.toUpperCase()} on ${describeTable(table)}: every statement fails with "permission denied"`];
}

function exemption({ role, owner, table, rowSecurity, forced }: Omit<Explanation, 'summary'>): readonly string[] | undefined {
  if (role.superuser) return [`${role.name} is a superuser: no policy binds it`];
  if (role.bypassesRowSecurity) return [`${role.name} has BYPASSRLS: no policy binds it`];
  if (!rowSecurity) return [`row security is off on ${describeTable(table)}: no policy is asked, and every row is there`];
  if (role.owns && !forced) return [`${role.name} has the rights of the owner ${owner}, and row security is not forced: no policy binds it`];
  return undefined;
}

function decision({ role, command, policies, rows, notCounted }: Omit<Explanation, 'summary'>): readonly string[] {
  const applied = policies.filter((policy) => policy.notFor === undefined);
  const permissive = applied.filter((policy) => policy.as === 'Permissive');
  if (permissive.length === 0) return [`no permissive policy is for ${role.name} and ${command}: it can ${verbs[command]} no row`];
  const failing = applied.find((policy) => policy.fails !== undefined);
  if (failing !== undefined) return [`policy ${failing.name} fails, and with it every statement: ${failing.fails ?? ''}`, ...failing.notes];
  if (rows === undefined) return [`not counted: ${notCounted ?? 'no rows were looked at'}`, ...permissive.flatMap((policy) => policy.notes)];
  if (rows.looked === 0) return ['the table is empty'];
  const among = `${rows.all ? '' : 'the first '}${counted(rows.looked, 'row')}`;
  const admitted = rows.admitted ?? 0;
  if (permissive.every((policy) => policy.admits === 0)) return [`no permissive policy admits any of ${among}`, ...new Set(permissive.flatMap((policy) => policy.notes))];
  const removing = applied.filter((policy) => (policy.removes ?? 0) > 0).map((policy) => `restrictive policy ${policy.name} takes away ${counted(policy.removes ?? 0, 'admitted row')}`);
  return [`${role.name} can ${verbs[command]} ${admitted} of ${among}`, ...removing, ...(admitted === 0 ? new Set(applied.flatMap((policy) => policy.notes)) : [])];
}

function alsoNeeded({ command, rowSecurity }: Omit<Explanation, 'summary'>): readonly string[] {
  if (!rowSecurity || command === 'Select') return [];
  if (command === 'Insert') return ['rows were looked at as if they were written anew; with RETURNING the policies for Select are asked, too'];
  return ['a WHERE or RETURNING that reads a column asks the policies for Select, too'];
}
