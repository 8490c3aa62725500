-- PostgreSQL 18
create or replace function "rowseal"."member_97b49b67df4f4c3bc114208e"(text, jsonb) returns setof "pg_catalog"."int4" language sql stable security definer parallel safe set search_path = pg_catalog, pg_temp set row_security = off as 'select cast(m."id" as "pg_catalog"."int4") from "public"."members" as m where (m."tenant_id" = any (array(select cast(n."tenant_id" as "pg_catalog"."uuid") from "public"."secrets" as n where n."code" = (select cast($2 #>> array[''sub''] as "pg_catalog"."varchar"))))) or (m."owner" = (select cast($1 collate "default" as "pg_catalog"."text")))';
alter function "rowseal"."member_97b49b67df4f4c3bc114208e"(text, jsonb) owner to current_user;
revoke all on function "rowseal"."member_97b49b67df4f4c3bc114208e"(text, jsonb) from public;
grant execute on function "rowseal"."member_97b49b67df4f4c3bc114208e"(text, jsonb) to "app";
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("id" = any (array(select "rowseal"."member_97b49b67df4f4c3bc114208e"(cast(current_user as "pg_catalog"."text"), (case when pg_catalog.pg_input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end)))));

-- PostgreSQL 15
create or replace function "rowseal"."member_97b49b67df4f4c3bc114208e"(text, jsonb) returns setof "pg_catalog"."int4" language sql stable security definer parallel safe set search_path = pg_catalog, pg_temp set row_security = off as 'select cast(m."id" as "pg_catalog"."int4") from "public"."members" as m where (m."tenant_id" = any (array(select cast(n."tenant_id" as "pg_catalog"."uuid") from "public"."secrets" as n where n."code" = (select cast($2 #>> array[''sub''] as "pg_catalog"."varchar"))))) or (m."owner" = (select cast($1 collate "default" as "pg_catalog"."text")))';
alter function "rowseal"."member_97b49b67df4f4c3bc114208e"(text, jsonb) owner to current_user;
revoke all on function "rowseal"."member_97b49b67df4f4c3bc114208e"(text, jsonb) from public;
grant execute on function "rowseal"."member_97b49b67df4f4c3bc114208e"(text, jsonb) to "app";
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("id" = any (array(select "rowseal"."member_97b49b67df4f4c3bc114208e"(cast(current_user as "pg_catalog"."text"), (case when rowseal.input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end)))));
