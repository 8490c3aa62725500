// What the catalog of a database says, as far as anything in it can let rows out: the value that lints look at.
import type { Expression } from './expression.ts';

/** The engine's number of an object; unique among objects of one kind. 0 as a grantee is PUBLIC. */
export type Oid = number;

export interface Catalog {
  readonly server: CatalogServer;
  /** CONNECT, CREATE, TEMPORARY on this database. */
  readonly databaseGrants: readonly Grant[];
  readonly roles: readonly CatalogRole[];
  readonly memberships: readonly Membership[];
  /** Without those of the system; relations and functions likewise. */
  readonly schemas: readonly CatalogSchema[];
  readonly relations: readonly CatalogRelation[];
  readonly functions: readonly CatalogFunction[];
  readonly publications: readonly CatalogPublication[];
}

interface CatalogServer {
  /** As people write it: `18.4`. */
  readonly version: string;
  /** As the server counts it: 180004. */
  readonly versionNumber: number;
  readonly database: string;
  /** The role that read the catalog. */
  readonly currentRole: string;
}

export interface Grant {
  readonly grantee: Oid;
  /** As PostgreSQL names them: SELECT, USAGE, EXECUTE … */
  readonly privileges: readonly string[];
}

export interface CatalogRole {
  readonly oid: Oid;
  readonly name: string;
  readonly superuser: boolean;
  readonly bypassesRowSecurity: boolean;
  readonly login: boolean;
  readonly createRole: boolean;
  readonly replication: boolean;
  /** One of the server's own: the first superuser and pg_read_all_data and its kin. */
  readonly predefined: boolean;
}

/** `member` is in `role`: inheriting its rights, or able to SET ROLE to it, or both. */
export interface Membership {
  readonly role: Oid;
  readonly member: Oid;
  readonly inherit: boolean;
  readonly set: boolean;
}

interface CatalogSchema {
  readonly oid: Oid;
  readonly name: string;
  readonly owner: Oid;
  readonly grants: readonly Grant[];
}

type RelationKind = 'Table' | 'PartitionedTable' | 'View' | 'MaterializedView' | 'ForeignTable';

export interface CatalogRelation {
  readonly oid: Oid;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  readonly owner: Oid;
  readonly rowSecurity: boolean;
  readonly forced: boolean;
  readonly securityInvoker: boolean;
  readonly securityBarrier: boolean;
  /** The extension that made it. */
  readonly extension: string | null;
  /** Partition or inheritance parents. */
  readonly parents: readonly Oid[];
  /** Estimated; -1 when never counted. Takes no part in the digest. */
  readonly rowEstimate: number;
  readonly grants: readonly Grant[];
  readonly columns: readonly CatalogColumn[];
  readonly policies: readonly CatalogPolicy[];
  readonly indexes: readonly CatalogIndex[];
  /** Those whose referencing side this is. */
  readonly foreignKeys: readonly CatalogForeignKey[];
  readonly triggers: readonly CatalogTrigger[];
  /** INSERT, UPDATE and DELETE rules. */
  readonly rules: readonly CatalogRule[];
  /** Of views and materialised views. */
  readonly view?: CatalogView;
}

export interface CatalogColumn {
  readonly number: number;
  readonly name: string;
  /** In SQL, modifier included: `character varying(4)`. */
  readonly type: string;
  readonly hasModifier: boolean;
  /** Whether the type's `=` is leakproof, so that an index on it serves a query under row security. */
  readonly leakproofEquality: boolean;
  readonly notNull: boolean;
  /** The default's expression. */
  readonly default?: string;
  readonly identity: boolean;
  readonly grants: readonly Grant[];
}

export type PolicyCommand = 'All' | 'Select' | 'Insert' | 'Update' | 'Delete';

export interface CatalogPolicy {
  readonly name: string;
  readonly permissive: boolean;
  readonly command: PolicyCommand;
  /** 0 is PUBLIC. */
  readonly roles: readonly Oid[];
  readonly using?: PolicyExpression;
  readonly check?: PolicyExpression;
  /** Columns of the table itself that the expressions name. */
  readonly columns: readonly string[];
}

export interface PolicyExpression {
  /** As PostgreSQL deparses it under `search_path = pg_catalog`. */
  readonly text: string;
  readonly tree: Expression;
}

export interface CatalogIndex {
  readonly name: string;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly valid: boolean;
  readonly partial: boolean;
  /** Key columns in order; null is an expression. */
  readonly columns: readonly (string | null)[];
}

type ReferentialAction = 'NoAction' | 'Restrict' | 'Cascade' | 'SetNull' | 'SetDefault';

export interface CatalogForeignKey {
  readonly name: string;
  readonly columns: readonly string[];
  readonly references: Oid;
  readonly referencedColumns: readonly string[];
  readonly onDelete: ReferentialAction;
  readonly onUpdate: ReferentialAction;
}

export interface CatalogTrigger {
  readonly name: string;
  readonly function: Oid;
  readonly timing: 'Before' | 'After' | 'InsteadOf';
  readonly perRow: boolean;
  readonly events: readonly ('Insert' | 'Update' | 'Delete' | 'Truncate')[];
  readonly enabled: boolean;
}

export interface CatalogRule {
  readonly name: string;
  readonly event: 'Update' | 'Insert' | 'Delete';
  readonly instead: boolean;
  readonly enabled: boolean;
  /** Relations its actions name, the rule's own included only where they do. */
  readonly touches: readonly Oid[];
  readonly definition: string;
}

export interface CatalogView {
  /** The query, as PostgreSQL deparses it. */
  readonly definition: string;
  /** Its conditions, of all its WHEREs and joins. */
  readonly filter?: Expression;
  /** Relations that it names itself; what views among them read is not repeated here. */
  readonly reads: readonly Oid[];
  readonly calls: readonly Oid[];
}

export interface CatalogFunction {
  readonly oid: Oid;
  readonly schema: string;
  readonly name: string;
  /** `integer, text`: with the name it identifies the function. */
  readonly arguments: string;
  readonly returns: string;
  readonly kind: 'Function' | 'Procedure' | 'Aggregate' | 'Window';
  readonly owner: Oid;
  readonly definer: boolean;
  readonly leakproof: boolean;
  readonly volatility: 'Immutable' | 'Stable' | 'Volatile';
  readonly language: string;
  /** `search_path=…` and other settings it runs under. */
  readonly settings: readonly string[];
  readonly extension: string | null;
  /** Body of an SQL or PL/pgSQL function that no extension made. */
  readonly source?: string;
  readonly grants: readonly Grant[];
}

interface CatalogPublication {
  readonly name: string;
  readonly owner: Oid;
  readonly allTables: boolean;
  /** Whole schemas, too, as their tables. */
  readonly tables: readonly Oid[];
}
