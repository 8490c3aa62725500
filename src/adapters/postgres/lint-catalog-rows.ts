// The rows of the catalog query, as JSON brings them.
import type { Catalog, CatalogColumn, CatalogForeignKey, CatalogFunction, CatalogIndex, CatalogPolicy, CatalogRelation, CatalogRule, CatalogTrigger, CatalogView, Oid } from '../../policy/catalog.ts';

/** A row that belongs to a relation. */
export interface Keyed {
  readonly relation: Oid;
}

export type RelationRow = Omit<CatalogRelation, 'kind' | 'columns' | 'policies' | 'indexes' | 'foreignKeys' | 'triggers' | 'rules' | 'view'> & { readonly kind: string };
type ColumnRow = Omit<CatalogColumn, 'leakproofEquality' | 'default'> & Keyed & { readonly typeOid: Oid; readonly default: string | null };
export type PolicyRow = Omit<CatalogPolicy, 'command' | 'using' | 'check'> & Keyed & { readonly command: string; readonly using: string | null; readonly check: string | null };
type ForeignKeyRow = Omit<CatalogForeignKey, 'onDelete' | 'onUpdate'> & Keyed & { readonly onDelete: string; readonly onUpdate: string };
export type TriggerRow = Pick<CatalogTrigger, 'name' | 'function' | 'enabled'> & Keyed & { readonly type: number };
export type RuleRow = Omit<CatalogRule, 'event'> & Keyed & { readonly event: string };
export type ViewRow = Omit<CatalogView, 'filter'> & Keyed;
export type FunctionRow = Omit<CatalogFunction, 'kind' | 'volatility' | 'source'> & { readonly kind: string; readonly volatility: string; readonly source: string | null };

export interface CatalogRows extends Pick<Catalog, 'databaseGrants' | 'roles' | 'memberships' | 'schemas' | 'publications'> {
  readonly server: readonly Catalog['server'][];
  readonly relations: readonly RelationRow[];
  readonly columns: readonly ColumnRow[];
  readonly leakproofTypes: readonly { readonly oid: Oid }[];
  readonly policies: readonly PolicyRow[];
  readonly indexes: readonly (CatalogIndex & Keyed)[];
  readonly foreignKeys: readonly ForeignKeyRow[];
  readonly triggers: readonly TriggerRow[];
  readonly rules: readonly RuleRow[];
  readonly views: readonly ViewRow[];
  readonly functions: readonly FunctionRow[];
}
