// Observed state: what the catalog says about the tables, as far as policies need it.
import type { Command, PolicyMode, RowSecurity } from './desired.ts';
import type { ObservedGuard } from './guard.ts';
import type { ExistingIndex } from './index-need.ts';
import type { PolicyMarker } from './marker.ts';
import type { TableName } from './table-name.ts';

/** The type of an array's items, or the one that a range ranges over. */
export interface ObservedElement {
  readonly schema: string;
  readonly name: string;
  readonly category: string;
  readonly operatorSchema: string;
  readonly softInput: boolean;
}

export interface ObservedColumn {
  readonly name: string;
  /** The base type under any domain, without modifier: what claims and literals are cast to. */
  readonly baseType: { readonly schema: string; readonly name: string };
  /** The type as declared, modifier included, in SQL: `character varying(4)`. */
  readonly declaredType: string;
  /** Where the type's own comparison operators live; `pg_catalog` for everything built in, `public` for citext. */
  readonly operatorSchema: string;
  /** False for types whose input may raise an error that `pg_input_is_valid` can't catch. */
  readonly softInput: boolean;
  /** `pg_type.typcategory` of the base type: A array, R range, S text, D date and time, … */
  readonly category: string;
  readonly element?: ObservedElement;
  /** Where it is another than the database's own. */
  readonly collation?: string;
}

/** What we recorded when we applied; a policy's comment could be doctored together with its expression. */
export interface PolicyRecord {
  readonly owner: string;
  readonly rule: string;
  readonly definition: string;
  readonly deparsed: string;
  /** Empty where an earlier version recorded it. */
  readonly roles?: readonly string[];
  /** As JSON; what it was compiled from, where the version that recorded it said so. */
  readonly tree?: unknown;
  /** True where we found the policy as it was declared and only recorded it: its comment is somebody else's. */
  readonly adopted?: boolean;
}

/** One policy as we applied it: `state` is its `policyState`. */
interface AppliedPolicy {
  readonly name: string;
  readonly owner: string;
  readonly state: string;
  /** Those that still exist; none where an earlier version applied it. */
  readonly roles?: readonly string[];
}

export interface ObservedPolicy {
  readonly name: string;
  readonly as: PolicyMode;
  readonly command: Command;
  /** Sorted; `PUBLIC` stands alone. */
  readonly roles: readonly string[];
  /** As PostgreSQL deparses it under `search_path = pg_catalog`. */
  readonly using?: string;
  readonly check?: string;
  /** SHA-256, hex, over both expressions and the definitions of the helper functions they call. */
  readonly deparsed: string;
  readonly marker?: PolicyMarker;
  readonly record?: PolicyRecord;
  /** Whether helper functions that it calls may be executed by others than the roles of their policies, or not by these. */
  readonly helpersAstray?: boolean;
}

export interface ObservedTable {
  readonly table: TableName;
  readonly oid: number;
  /** `r` table, `p` partitioned table, else something that can't carry policies. */
  readonly relationKind: string;
  /** What it is a partition of or inherits from, directly; these are observed, too. */
  readonly parents: readonly TableName[];
  /** False for what no selector may match: tables of extensions, of the system, and our own. */
  readonly selectable: boolean;
  readonly owner: string;
  /** Whether our role has the owner's rights. */
  readonly owned: boolean;
  readonly rowSecurity: boolean;
  readonly forced: boolean;
  readonly columns: readonly ObservedColumn[];
  /** Left out where nobody looked. */
  readonly indexes?: readonly ExistingIndex[];
  /** By name. */
  readonly policies: readonly ObservedPolicy[];
  /** Roles that row security would bind and does not bind fully yet, with the roles asked for whose rights each has; none once it is forced. */
  readonly readers: readonly { readonly name: string; readonly actsAs: readonly string[] }[];
  /** What we applied last, by policy name: policies that are gone since are still in it. */
  readonly applied: readonly AppliedPolicy[];
  /** The row security that we applied last; empty before the first time. */
  readonly declared: RowSecurity | '';
  /** The guard closed it when it was made, and the owner asked for has applied nothing to it since. */
  readonly bornClosed?: boolean;
  /** Flags before anybody's first apply; present once the table is governed. */
  readonly before?: { readonly rowSecurity: boolean; readonly forced: boolean };
  /** SHA-256, hex, of policies, flags and owner: what `rowseal.policy_digest` returns. */
  readonly digest: string;
}

/** A function as the catalog has it; only those in SQL or PL/pgSQL can be looked into. */
export interface ObservedFunction {
  readonly schema: string;
  readonly name: string;
  readonly language: string;
  /** As written, or, of `BEGIN ATOMIC` and `RETURN`, as deparsed. */
  readonly body: string;
  readonly parsed: boolean;
  readonly parameters: readonly { readonly name: string; readonly type: string }[];
  readonly returns: string;
  readonly returnsSet: boolean;
  /** Of NULL it makes NULL, whatever its body says. */
  readonly strict: boolean;
  readonly securityDefiner: boolean;
  readonly owner: string;
  readonly ownerBypasses: boolean;
  /** Of its SET search_path; without it a bare table name could be anybody's. */
  readonly searchPath?: readonly string[];
}

interface ObservedRole {
  readonly name: string;
  readonly superuser: boolean;
  readonly bypassesRowSecurity: boolean;
}

export interface Observation {
  readonly versionNumber: number;
  /** The role we are logged in as. */
  readonly currentRole: string;
  /** How often the owner asked for applied something. */
  readonly revision: number;
  /** Whether our own role may read a table whatever its policies say. */
  readonly bypassesRowSecurity: boolean;
  /** The tables asked for that exist, those where policies of the owner asked for are recorded, and the ancestors of all; by name. */
  readonly tables: readonly ObservedTable[];
  /** States (`policyState`) of all that the owner asked for applied, tables that are gone since included. */
  readonly admitted?: readonly string[];
  /** Left out where nobody looked. */
  readonly guard?: ObservedGuard;
  /** The roles asked for that exist, by name. */
  readonly roles: readonly ObservedRole[];
  /** The functions that the texts asked for call, directly or not. */
  readonly functions?: readonly ObservedFunction[];
}

export function observedOwner(policy: ObservedPolicy): string | undefined {
  return policy.record?.owner ?? policy.marker?.owner;
}
