// What grants let the objects of a namespace ask for (DESIGN §3): each answer is nothing, or a sentence naming what is missing.
import { type AuditPolicySpec, type DatabaseConnectionSpec, describeObject, type Resource } from '../model/kinds.ts';

type Grant = NonNullable<DatabaseConnectionSpec['grants']>[number];
type NamespaceSelection = Grant['namespaces'];
export type Right = NonNullable<Grant['rights']>[number];

/** Who asks: a namespace with its labels. */
export interface Requester {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Asked {
  readonly schema: string;
  readonly tables: readonly string[];
  /** Roles that rules and tests name. */
  readonly roles: readonly string[];
  readonly rights: readonly Right[];
}

/** Whether a RowPolicy may ask this of the database. Judged table by table: what one grant gives on one table does not leak to another. */
export function mayGovern(connection: Resource<'DatabaseConnection'>, requester: Requester, asked: Asked): string | undefined {
  return missingOf(connection, requester, { kind: 'RowPolicy', asked });
}

/** Whether an AuditPolicy may record these tables. */
export function mayAudit(connection: Resource<'DatabaseConnection'>, requester: Requester, tables: AuditPolicySpec['tables']): string | undefined {
  for (const { schema, tables: names } of tables) {
    const missing = missingOf(connection, requester, { kind: 'AuditPolicy', asked: { schema, tables: names, roles: [], rights: [] } });
    if (missing !== undefined) return missing;
  }
  return undefined;
}

/** Whether AuditPolicies of the namespace may write to the log. */
export function mayWriteLog(log: Resource<'AuditLog'>, requester: Requester): string | undefined {
  const grants = log.spec.grants ?? [{ namespaces: { from: 'Same' as const } }];
  if (grants.some((grant) => selects(grant.namespaces, log.metadata.namespace, requester))) return undefined;
  return `${describeObject('AuditLog', log.metadata)} does not grant namespace ${requester.namespace} to write to it`;
}

/** The table names that the grants for RowPolicies of this schema are limited to; undefined when one of them is for all. */
export function grantedTables({ spec, metadata }: Resource<'DatabaseConnection'>, requester: Requester, schema: string): readonly string[] | undefined {
  const grants = (spec.grants ?? [ownNamespaceGrant]).filter((grant) => selects(grant.namespaces, metadata.namespace, requester) && covers(grant.kinds, 'RowPolicy') && covers(grant.schemas, schema));
  return grants.some((grant) => grant.tables === undefined) ? undefined : grants.flatMap((grant) => grant.tables ?? []);
}

/** Names outside pg_catalog that `sql` may use: those that on each of the tables some grant of the right SQL admits. */
export function admittedInSql({ spec, metadata }: Resource<'DatabaseConnection'>, requester: Requester, { schema, tables }: Pick<Asked, 'schema' | 'tables'>): readonly string[] {
  const giving = (spec.grants ?? []).filter(
    (grant) => grant.rights?.includes('SQL') === true && selects(grant.namespaces, metadata.namespace, requester) && covers(grant.kinds, 'RowPolicy') && covers(grant.schemas, schema),
  );
  const names = [...new Set(giving.flatMap((grant) => grant.sqlMayUse ?? []))];
  return names.filter((name) => tables.every((table) => giving.some((grant) => covers(grant.tables, table) && grant.sqlMayUse?.includes(name) === true)));
}

/** Without any grant: the own namespace, everything, and Widen; SQL always needs a grant. */
const ownNamespaceGrant: Grant = { name: 'own-namespace', namespaces: { from: 'Same' }, rights: ['Widen'] };

interface Request {
  readonly kind: 'RowPolicy' | 'AuditPolicy';
  readonly asked: Asked;
}

function missingOf({ spec, metadata }: Resource<'DatabaseConnection'>, requester: Requester, { kind, asked }: Request): string | undefined {
  const sentence = (what: string) => `${describeObject('DatabaseConnection', metadata)} does not grant ${what} to namespace ${requester.namespace}`;
  const forUs = (spec.grants ?? [ownNamespaceGrant]).filter((grant) => selects(grant.namespaces, metadata.namespace, requester) && covers(grant.kinds, kind));
  if (forUs.length === 0) return sentence(`a ${kind}`);
  const inSchema = forUs.filter((grant) => covers(grant.schemas, asked.schema));
  if (inSchema.length === 0) return sentence(`schema ${asked.schema}`);
  for (const table of asked.tables) {
    const missing = missingOnTable(inSchema.filter((grant) => covers(grant.tables, table)), asked);
    if (missing !== undefined) return sentence(`${missing}table ${asked.schema}.${table}`);
  }
  return undefined;
}

/** Undefined when the grants suffice, else the words before `table …`; empty when no grant is for the table at all. */
function missingOnTable(grants: readonly Grant[], asked: Asked): string | undefined {
  if (grants.length === 0) return '';
  const role = asked.roles.find((candidate) => !grants.some((grant) => covers(grant.roles, candidate)));
  if (role !== undefined) return `role ${role} on `;
  for (const right of asked.rights) {
    const giving = grants.filter((grant) => grant.rights?.includes(right));
    if (giving.length === 0) return `the right ${right} on `;
    // A right goes with the roles of its own grant: Widen for one role is no Widen for another.
    const uncovered = asked.roles.find((candidate) => !giving.some((grant) => covers(grant.roles, candidate)));
    if (uncovered !== undefined) return `the right ${right} for role ${uncovered} on `;
  }
  return undefined;
}

/** A list that is left out covers everything. */
function covers(list: readonly string[] | undefined, item: string): boolean {
  return list === undefined || list.includes(item);
}

function selects(selection: NamespaceSelection, own: string, requester: Requester): boolean {
  switch (selection.from) {
    case 'All':
      return true;
    case 'Same':
      return requester.namespace === own;
    case 'Selector':
      // A missing selector selects nothing; the schema refuses it anyway.
      return selection.selector !== undefined && Object.entries(selection.selector.matchLabels ?? {}).every(([label, value]) => requester.labels[label] === value);
  }
}
