// A connected database: facts about it, its policies, its audit stream. One file an engine implements each half.
import type { ClaimsConfiguration } from '../model/claims.ts';
import type { DatabaseConnectionSpec } from '../model/kinds.ts';
import type { AuditDatabase } from './audit-database.ts';
import type { ClaimsDatabase } from './claims-database.ts';
import type { Secret } from './cluster.ts';
import type { LintDatabase } from './lint-database.ts';
import type { PolicyDatabase } from './policy-database.ts';

export type Capability = 'LogicalDecoding' | 'EventTriggers' | 'BypassRLS' | 'CreateRole' | 'Superuser';

export interface ServerFacts {
  /** As people write it: `18.4`. */
  readonly version: string;
  /** As the server counts it: 180004. */
  readonly versionNumber: number;
  readonly systemIdentifier: string;
  readonly database: string;
  /** The role we are logged in as. */
  readonly user: string;
  readonly capabilities: readonly Capability[];
}

export interface Database {
  readonly facts: ServerFacts;
  readonly policies: PolicyDatabase;
  readonly claims: ClaimsDatabase;
  readonly lint: LintDatabase;
  readonly audit: AuditDatabase;
  /** Rejects when the session that holds the advisory lock is lost; nothing may be applied after that. */
  readonly lost: Promise<never>;
  close(): Promise<void>;
}

/** Everything needed to get in; made from a DatabaseConnection and its Secret. Holds a password: never log it. */
export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
  readonly tls: { readonly mode: 'verify-full' | 'verify-ca' | 'require' | 'disable'; readonly ca?: string };
  readonly claims: ClaimsConfiguration;
  readonly connectTimeoutMs?: number;
  /** `rowseal` when left out. */
  readonly applicationName?: string;
}

export interface TargetSource {
  readonly spec: DatabaseConnectionSpec;
  readonly secret: Secret;
  /** For messages: `Secret shop/shop-admin`. */
  readonly secretName: string;
  /** PEM of the authority that spec.connection.tls.caSecretRef names. */
  readonly ca?: string;
}

/** In whose name a database is connected: what its fence holds. */
export interface Holder {
  readonly clusterUid: string;
  /** Another one for every lease; while there are none, for every process. */
  readonly leaseUid: string;
  /** Whether the lease is held, so that an earlier session of our own, perhaps of a process that hangs, may be ended. */
  readonly holdsLease: boolean;
  /** The uid of another cluster whose database may be taken over. */
  readonly takeOverFrom?: string;
}

export interface DatabaseEngine {
  /** Where and how to connect; throws BadSecret naming what is missing or not allowed, never a value. */
  target(source: TargetSource): ConnectionTarget;
  /** Throws OwnedByAnother where another cluster applies. */
  connect(target: ConnectionTarget, holder: Holder, signal: AbortSignal): Promise<Database>;
}
