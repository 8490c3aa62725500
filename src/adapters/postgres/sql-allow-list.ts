// What a `sql` predicate may be made of: grammar nodes, functions and types of pg_catalog that read the row and the session only.

/** Functions that neither write, sleep, read files or other sessions, run SQL out of a string, nor are VOLATILE. */
export const allowedFunctions: ReadonlySet<string> = new Set(
  `lower upper initcap length char_length character_length octet_length btrim ltrim rtrim substring substr left right position strpos
   overlay replace translate split_part starts_with concat concat_ws md5 sha256 encode decode reverse ascii regexp_like regexp_match
   regexp_replace regexp_split_to_array string_to_array array_to_string to_char to_date to_timestamp to_number like_escape
   similar_to_escape normalize is_normalized
   abs ceil ceiling floor round trunc mod sign div
   now transaction_timestamp statement_timestamp date_trunc date_part extract age make_date make_interval make_timestamp make_timestamptz
   timezone isfinite justify_days justify_hours justify_interval overlaps date timestamptz timestamp
   current_setting current_database current_schema current_schemas pg_has_role inet_client_addr
   json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text json_array_length jsonb_array_length
   json_array_elements json_array_elements_text jsonb_array_elements jsonb_array_elements_text json_typeof jsonb_typeof json_object_keys
   jsonb_object_keys jsonb_exists jsonb_exists_any jsonb_exists_all jsonb_contains jsonb_path_exists jsonb_path_match to_jsonb
   jsonb_build_array jsonb_build_object jsonb_strip_nulls
   array_length cardinality array_position array_positions unnest array_append array_prepend array_cat array_remove array_lower
   array_upper array_ndims
   isempty lower_inc upper_inc lower_inf upper_inf range_merge int4range int8range numrange tsrange tstzrange daterange
   host network masklen family inet_same_family
   count min max sum avg bool_and bool_or every array_agg string_agg jsonb_agg row_number rank dense_rank`
    .split(/\s+/)
    .filter((name) => name !== ''),
);

export const allowedTypes: ReadonlySet<string> = new Set(
  `bool int2 int4 int8 numeric float4 float8 text varchar bpchar name uuid date time timetz timestamp timestamptz interval json jsonb
   jsonpath bytea inet cidr macaddr macaddr8 bit varbit oid int4range int8range numrange tsrange tstzrange daterange`
    .split(/\s+/)
    .filter((name) => name !== ''),
);

/** Nodes of PostgreSQL's parse tree; a node that a later version adds is refused until somebody has thought about it. */
export const allowedNodes: ReadonlySet<string> = new Set(
  `A_Const Integer Float Boolean String BitString ColumnRef A_Star A_Expr BoolExpr NullTest BooleanTest TypeCast TypeName CollateClause
   FuncCall NamedArgExpr CoalesceExpr MinMaxExpr CaseExpr CaseWhen A_ArrayExpr A_Indirection A_Indices RowExpr SQLValueFunction List
   SubLink SelectStmt ResTarget RangeVar RangeSubselect RangeFunction JoinExpr Alias SortBy WithClause CommonTableExpr WindowDef`
    .split(/\s+/)
    .filter((name) => name !== ''),
);

/** Constructs by the name their users know. */
export const nodeWords: Readonly<Record<string, string>> = {
  ParamRef: 'a parameter such as $1',
  XmlExpr: 'an XML expression',
  XmlSerialize: 'an XML expression',
  InsertStmt: 'INSERT',
  UpdateStmt: 'UPDATE',
  DeleteStmt: 'DELETE',
  MergeStmt: 'MERGE',
  RangeTableSample: 'TABLESAMPLE',
  RangeTableFunc: 'XMLTABLE',
  JsonTable: 'JSON_TABLE',
  JsonFuncExpr: 'a SQL/JSON function',
  LockingClause: 'FOR UPDATE and its kin',
  IntoClause: 'SELECT INTO',
  CurrentOfExpr: 'WHERE CURRENT OF',
  SetToDefault: 'DEFAULT',
  GroupingFunc: 'GROUPING',
  MergeSupportFunc: 'merge_action',
};
