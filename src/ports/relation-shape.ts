// How the stream describes a table.

/** `type` is PostgreSQL's own name (`int4`, `_text`), with its schema unless built in, or `oid:<number>` where the stream did not name it. */
export interface RelationShape {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  readonly columns: readonly { readonly name: string; readonly type: string; readonly typeModifier: number; readonly identity: boolean }[];
}
