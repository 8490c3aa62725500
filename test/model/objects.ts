// Small good objects of each kind, and what refuses them when one thing is wrong: shared by the tests of both judges.
import type { KindName } from '../../src/model/kinds.ts';

type Json = Record<string, unknown>;

export const goodSpecs: Readonly<Record<KindName, Json>> = {
  DatabaseConnection: { engine: 'PostgreSQL', connection: { secretRef: { name: 'shop-admin' } } },
  RowPolicy: {
    databaseRef: { name: 'shop' },
    target: { schema: 'public', tables: ['orders'] },
    rules: [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['tenant_id'] }] } }],
  },
  AuditLog: { origin: 'rowseal.example.com/shop', storage: { filesystem: { path: '/var/log/shop' } } },
  AuditPolicy: {
    databaseRef: { name: 'shop' },
    logRef: { name: 'shop' },
    tables: [{ name: 'orders', schema: 'public', tables: ['orders'], columns: { omit: ['card'], hash: ['email'], redact: ['note'] } }],
  },
};

export const signedSpec = { ...goodSpecs.DatabaseConnection, claims: { type: 'Signed', setting: 'shop.token', signed: { keySecretRef: { name: 'shop-claims' }, bind: 'Session' } } };

export const s3Spec = { origin: 'rowseal.example.com/shop', storage: { s3: { bucket: 'shop-log', objectLock: 'Compliance' } } };

export interface BadCase {
  readonly kind: KindName;
  /** The sentence of the rule. */
  readonly message: string;
  readonly spec: Json;
  /** For transition rules: the good spec that was there before. */
  readonly before?: Json;
}

const eq = { column: 'tenant_id', op: 'Eq', claim: ['tenant_id'] };
const using = { all: [eq] };

function withRule(rule: Json): Json {
  return { ...goodSpecs.RowPolicy, rules: [{ name: 'tenant', roles: ['app'], commands: ['All'], ...rule }] };
}

function withTerm(term: Json): Json {
  return withRule({ using: { all: [term] } });
}

function withInnerTerm(term: Json): Json {
  return withTerm({ column: 'team_id', member: { table: 'members', column: 'team_id', where: { all: [term] } } });
}

function withExpectation(expect: Json): Json {
  return { ...goodSpecs.RowPolicy, tests: [{ name: 'a tenant sees its own', as: { role: 'app' }, expect }] };
}

const sides = 'a comparison has exactly two sides; IsNull and a membership have exactly one';
const form = 'a term is either a comparison (op) or a membership (member)';
const comparisons: readonly { readonly message: string; readonly term: Json }[] = [
  { message: sides, term: { column: 'a', op: 'Eq' } },
  { message: sides, term: { column: 'a', op: 'Eq', value: '1', otherColumn: 'b' } },
  { message: sides, term: { column: 'a', op: 'IsNull', setting: 'app.x' } },
  { message: sides, term: { column: 'a', claim: ['b'], member: { table: 'members', column: 'id' } } },
  { message: 'the left side is a column, claim, currentRole, setting or function', term: { op: 'Eq', value: '1', otherColumn: 'b' } },
  { message: 'values goes with op: In, Contains or Overlaps', term: { column: 'a', op: 'Eq', values: ['1'] } },
  { message: 'In takes values, a claim that holds a JSON array, or a function that returns an array', term: { column: 'a', op: 'In', value: '1' } },
  { message: form, term: { column: 'a', value: '1' } },
  { message: form, term: { ...eq, member: { table: 'members', column: 'id' } } },
];

export const badCases: readonly BadCase[] = [
  ...comparisons.map(({ message, term }) => ({ kind: 'RowPolicy' as const, message, spec: withTerm(term) })),
  ...comparisons.map(({ message, term }) => ({ kind: 'RowPolicy' as const, message, spec: withInnerTerm(term) })),
  { kind: 'RowPolicy', message: 'a predicate has exactly one of all, any and sql', spec: withRule({ using: { all: [eq], sql: 'true' } }) },
  { kind: 'RowPolicy', message: 'a predicate has exactly one of all, any and sql', spec: withRule({ using: {} }) },
  { kind: 'RowPolicy', message: 'All stands alone among the commands', spec: withRule({ commands: ['All', 'Select'], using }) },
  { kind: 'RowPolicy', message: 'a command is named twice', spec: withRule({ commands: ['Select', 'Select'], using }) },
  { kind: 'RowPolicy', message: 'a rule needs using, check, or both', spec: withRule({ commands: ['Insert'] }) },
  { kind: 'RowPolicy', message: 'an Insert rule takes check, not using: there is no row to see yet', spec: withRule({ commands: ['Insert'], using }) },
  { kind: 'RowPolicy', message: 'check is for rules that write: All, Insert or Update', spec: withRule({ commands: ['Select'], using, check: using }) },
  { kind: 'RowPolicy', message: 'a rule for All, Select, Update or Delete needs using', spec: withRule({ commands: ['Update'], check: using }) },
  { kind: 'RowPolicy', message: 'policyName and verbatim go with one command: each command is a policy of its own', spec: withRule({ commands: ['Select', 'Delete'], using, policyName: 'p' }) },
  { kind: 'RowPolicy', message: 'verbatim repeats an expression that using or check says in terms', spec: withRule({ using, verbatim: { check: 'true' } }) },
  { kind: 'RowPolicy', message: 'a target has tables or a selector, and not both', spec: { ...goodSpecs.RowPolicy, target: { schema: 'public' } } },
  { kind: 'RowPolicy', message: 'a target has tables or a selector, and not both', spec: { ...goodSpecs.RowPolicy, target: { schema: 'public', tables: ['a'], selector: { namePattern: '*' } } } },
  { kind: 'RowPolicy', message: 'a selector needs namePattern, hasColumns, or both', spec: { ...goodSpecs.RowPolicy, target: { schema: 'public', selector: {} } } },
  { kind: 'RowPolicy', message: 'Insert takes row, Update takes row and optionally where, Delete takes at most where', spec: withExpectation({ denied: { command: 'Delete', table: 'orders', row: { id: 1 } } }) },
  { kind: 'RowPolicy', message: 'an expectation has exactly one of visible, count and denied', spec: withExpectation({ table: 'orders' }) },
  { kind: 'RowPolicy', message: 'visible and count need table; denied names its own', spec: withExpectation({ count: 0 }) },
  {
    kind: 'RowPolicy',
    message: 'the reference to the DatabaseConnection is immutable; delete and recreate the object instead',
    before: goodSpecs.RowPolicy,
    spec: { ...goodSpecs.RowPolicy, databaseRef: { name: 'other' } },
  },
  {
    kind: 'RowPolicy',
    message: 'the reference to the DatabaseConnection is immutable; delete and recreate the object instead',
    before: goodSpecs.RowPolicy,
    spec: { ...goodSpecs.RowPolicy, databaseRef: { name: 'shop', namespace: 'other' } },
  },
  ...[
    { message: 'a column stands in only one of omit, hash and redact', columns: { omit: ['card'], hash: ['email'], redact: ['note', 'card'] } },
    { message: 'a column stands in only one of omit, hash and redact', columns: { hash: ['email'], redact: ['email'] } },
    { message: 'name at least one column in omit, hash or redact', columns: {} },
  ].map(({ message, columns }) => ({ kind: 'AuditPolicy' as const, message, spec: { ...goodSpecs.AuditPolicy, tables: [{ name: 'orders', schema: 'public', tables: ['orders'], columns }] } })),
  {
    kind: 'AuditPolicy',
    message: 'the reference to the AuditLog is immutable; delete and recreate the object instead',
    before: goodSpecs.AuditPolicy,
    spec: { ...goodSpecs.AuditPolicy, logRef: { name: 'other' } },
  },
  {
    kind: 'DatabaseConnection',
    message: 'selector goes with from: Selector, and only with it',
    spec: { ...goodSpecs.DatabaseConnection, grants: [{ name: 'orders', namespaces: { from: 'Selector' } }] },
  },
  ...[
    { message: 'signed goes with type: Signed, and only with it', claims: { type: 'Signed' } },
    { message: 'signed goes with type: Signed, and only with it', claims: { type: 'Setting', signed: { keySecretRef: { name: 'keys' } } } },
    { message: 'type: Role reads no setting', claims: { type: 'Role', setting: 'request.jwt.claims' } },
  ].map(({ message, claims }) => ({ kind: 'DatabaseConnection' as const, message, spec: { ...goodSpecs.DatabaseConnection, claims } })),
  {
    kind: 'AuditLog',
    message: 'selector goes with from: Selector, and only with it',
    spec: { ...goodSpecs.AuditLog, grants: [{ name: 'orders', namespaces: { from: 'All', selector: { matchLabels: { a: 'b' } } } }] },
  },
  { kind: 'AuditLog', message: 'storage has exactly one of s3 and filesystem', spec: { ...goodSpecs.AuditLog, storage: {} } },
  { kind: 'AuditLog', message: 'the kind of storage is immutable', before: goodSpecs.AuditLog, spec: s3Spec },
  {
    kind: 'AuditLog',
    message: 'the place of a log (path) is immutable',
    before: goodSpecs.AuditLog,
    spec: { ...goodSpecs.AuditLog, storage: { filesystem: { path: '/elsewhere' } } },
  },
  {
    kind: 'AuditLog',
    message: 'the place of a log (bucket and prefix) is immutable',
    before: s3Spec,
    spec: { ...s3Spec, storage: { s3: { ...s3Spec.storage.s3, prefix: 'b' } } },
  },
  {
    kind: 'AuditLog',
    message: 'objectLock cannot be weakened',
    before: s3Spec,
    spec: { ...s3Spec, storage: { s3: { ...s3Spec.storage.s3, objectLock: 'Governance' } } },
  },
  {
    kind: 'AuditLog',
    message: 'origin is immutable: it is the name under which the log was signed',
    before: goodSpecs.AuditLog,
    spec: { ...goodSpecs.AuditLog, origin: 'rowseal.example.com/other' },
  },
  { kind: 'AuditLog', message: 'retention.days can only grow', before: goodSpecs.AuditLog, spec: { ...goodSpecs.AuditLog, retention: { days: 2556 } } },
  {
    kind: 'AuditLog',
    message: 'retention.days can only grow',
    before: { ...goodSpecs.AuditLog, retention: { days: 3000 } },
    spec: goodSpecs.AuditLog,
  },
  {
    kind: 'AuditLog',
    message: 'retention.uncoveredDays can only grow',
    before: goodSpecs.AuditLog,
    spec: { ...goodSpecs.AuditLog, retention: { uncoveredDays: 29 } },
  },
  {
    kind: 'AuditLog',
    message: 'retention.uncoveredDays (30 when left out) is at most retention.days',
    spec: { ...goodSpecs.AuditLog, retention: { days: 7 } },
  },
  {
    kind: 'DatabaseConnection',
    message: 'engine is immutable',
    before: goodSpecs.DatabaseConnection,
    // There is one engine only, so that the closed set refuses first; the rule waits for the second one.
    spec: { ...goodSpecs.DatabaseConnection, engine: 'Other' },
  },
];
