// The four kinds as values: their names, schemas, printer columns and TypeScript types, from which crds/ is generated.
import type { Static } from 'typebox';
import { auditLogSpec, auditLogStatus } from './schema/audit-log.ts';
import { auditPolicySpec, auditPolicyStatus } from './schema/audit-policy.ts';
import { databaseConnectionSpec, databaseConnectionStatus } from './schema/database-connection.ts';
import { rowPolicySpec } from './schema/row-policy.ts';
import { rowPolicyStatus } from './schema/row-policy-status.ts';

export const apiGroup = 'rowseal.dev';
export const apiVersion = 'rowseal.dev/v1alpha1';

export const kindNames = ['DatabaseConnection', 'RowPolicy', 'AuditLog', 'AuditPolicy'] as const;
export type KindName = (typeof kindNames)[number];

export type DatabaseConnectionSpec = Static<typeof databaseConnectionSpec>;
export type DatabaseConnectionStatus = Static<typeof databaseConnectionStatus>;
export type RowPolicySpec = Static<typeof rowPolicySpec>;
export type RowPolicyStatus = Static<typeof rowPolicyStatus>;
type AuditLogSpec = Static<typeof auditLogSpec>;
export type AuditLogStatus = Static<typeof auditLogStatus>;
export type AuditPolicySpec = Static<typeof auditPolicySpec>;
export type AuditPolicyStatus = Static<typeof auditPolicyStatus>;

interface KindShapes {
  readonly DatabaseConnection: { readonly spec: DatabaseConnectionSpec; readonly status: DatabaseConnectionStatus };
  readonly RowPolicy: { readonly spec: RowPolicySpec; readonly status: RowPolicyStatus };
  readonly AuditLog: { readonly spec: AuditLogSpec; readonly status: AuditLogStatus };
  readonly AuditPolicy: { readonly spec: AuditPolicySpec; readonly status: AuditPolicyStatus };
}

export type SpecOf<K extends KindName> = KindShapes[K]['spec'];
export type StatusOf<K extends KindName> = KindShapes[K]['status'];

export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly finalizers: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  /** RFC 3339; present while the object waits for its finalizers. */
  readonly deletionTimestamp?: string;
}

/** A validated object of one kind. */
export interface Resource<K extends KindName = KindName> {
  readonly kind: K;
  readonly metadata: ObjectMeta;
  readonly spec: SpecOf<K>;
  readonly status: StatusOf<K>;
}

export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly observedGeneration?: number;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
  readonly reason: string;
  readonly message: string;
}

/** `RowPolicy shop/orders`, the way messages and logs name an object. */
export function describeObject(kind: string, key: ObjectKey): string {
  return `${kind} ${key.namespace}/${key.name}`;
}

/** The object a reference means; its namespace is the referrer's own when left out. */
export function resolveRef(ref: { name: string; namespace?: string }, referrer: ObjectKey): ObjectKey {
  return { namespace: ref.namespace ?? referrer.namespace, name: ref.name };
}

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 0 shows always, 1 only with `-o wide`. */
  readonly priority: 0 | 1;
}

export interface KindDefinition {
  readonly kind: KindName;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly spec: object;
  readonly status: object;
  readonly columns: readonly PrinterColumn[];
}

function column(name: string, jsonPath: string, options: Partial<PrinterColumn> & { description: string }): PrinterColumn {
  return { name, jsonPath, type: 'string', priority: 0, ...options };
}

const readyColumns: readonly PrinterColumn[] = [
  column('Ready', ".status.conditions[?(@.type=='Ready')].status", { description: 'Whether everything declared is in force.' }),
  column('Reason', ".status.conditions[?(@.type=='Ready')].reason", { description: 'Why, in one word.' }),
];
const lastColumns: readonly PrinterColumn[] = [
  column('Message', ".status.conditions[?(@.type=='Ready')].message", { description: 'Why, in words.', priority: 1 }),
  column('Age', '.metadata.creationTimestamp', { type: 'date', description: 'Age of the object.' }),
];

export const kindDefinitions: Readonly<Record<KindName, KindDefinition>> = {
  DatabaseConnection: {
    kind: 'DatabaseConnection',
    plural: 'databaseconnections',
    singular: 'databaseconnection',
    shortNames: ['dbc'],
    spec: databaseConnectionSpec,
    status: databaseConnectionStatus,
    columns: [
      ...readyColumns,
      column('Version', '.status.serverVersion', { description: 'Version of the server.' }),
      column('Dependants', '.status.dependants.total', { type: 'integer', description: 'Objects that use it.', priority: 1 }),
      ...lastColumns,
    ],
  },
  RowPolicy: {
    kind: 'RowPolicy',
    plural: 'rowpolicies',
    singular: 'rowpolicy',
    shortNames: ['rowpol'],
    spec: rowPolicySpec,
    status: rowPolicyStatus,
    columns: [
      ...readyColumns,
      column('Pending', '.status.plan.total', { type: 'integer', description: 'Statements still to be applied.' }),
      column('Findings', '.status.findingsTotal', { type: 'integer', description: 'What the lints found.', priority: 1 }),
      column('Database', '.spec.databaseRef.name', { description: 'The DatabaseConnection.', priority: 1 }),
      ...lastColumns,
    ],
  },
  AuditLog: {
    kind: 'AuditLog',
    plural: 'auditlogs',
    singular: 'auditlog',
    shortNames: ['alog'],
    spec: auditLogSpec,
    status: auditLogStatus,
    columns: [
      ...readyColumns,
      column('Size', '.status.treeSize', { type: 'integer', description: 'Entries under the latest checkpoint.' }),
      column('Published', '.status.publishedAt', { type: 'date', description: 'When the latest checkpoint was published.' }),
      column('Origin', '.spec.origin', { description: 'Origin of the checkpoints.', priority: 1 }),
      ...lastColumns,
    ],
  },
  AuditPolicy: {
    kind: 'AuditPolicy',
    plural: 'auditpolicies',
    singular: 'auditpolicy',
    shortNames: ['audpol'],
    spec: auditPolicySpec,
    status: auditPolicyStatus,
    columns: [
      ...readyColumns,
      column('Lag', '.status.lagBytes', { type: 'integer', description: 'Bytes of WAL that are not sealed yet.' }),
      column('Gaps', '.status.gaps', { type: 'integer', description: 'Sealed gaps.' }),
      column('Log', '.spec.logRef.name', { description: 'The AuditLog.', priority: 1 }),
      ...lastColumns,
    ],
  },
};
