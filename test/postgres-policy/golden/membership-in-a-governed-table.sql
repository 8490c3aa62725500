-- PostgreSQL 18
create or replace function "rowseal"."member_9e822b32ed5d9298674b2c03"(text, jsonb) returns setof "pg_catalog"."uuid" language sql stable security definer parallel safe set search_path = pg_catalog, pg_temp set row_security = off as 'select cast(m."tenant_id" as "pg_catalog"."uuid") from "public"."secrets" as m where m."owner" = (select cast($1 collate "default" as "pg_catalog"."text")) and m."code" = (select cast($2 #>> array[''sub''] as "pg_catalog"."varchar"))';
alter function "rowseal"."member_9e822b32ed5d9298674b2c03"(text, jsonb) owner to current_user;
revoke all on function "rowseal"."member_9e822b32ed5d9298674b2c03"(text, jsonb) from public;
grant execute on function "rowseal"."member_9e822b32ed5d9298674b2c03"(text, jsonb) to "app";
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("tenant_id" = any (array(select "rowseal"."member_9e822b32ed5d9298674b2c03"(cast(current_user as "pg_catalog"."text"), (case when pg_catalog.pg_input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end)))));

-- PostgreSQL 15
create or replace function "rowseal"."member_9e822b32ed5d9298674b2c03"(text, jsonb) returns setof "pg_catalog"."uuid" language sql stable security definer parallel safe set search_path = pg_catalog, pg_temp set row_security = off as 'select cast(m."tenant_id" as "pg_catalog"."uuid") from "public"."secrets" as m where m."owner" = (select cast($1 collate "default" as "pg_catalog"."text")) and m."code" = (select cast($2 #>> array[''sub''] as "pg_catalog"."varchar"))';
alter function "rowseal"."member_9e822b32ed5d9298674b2c03"(text, jsonb) owner to current_user;
revoke all on function "rowseal"."member_9e822b32ed5d9298674b2c03"(text, jsonb) from public;
grant execute on function "rowseal"."member_9e822b32ed5d9298674b2c03"(text, jsonb) to "app";
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("tenant_id" = any (array(select "rowseal"."member_9e822b32ed5d9298674b2c03"(cast(current_user as "pg_catalog"."text"), (case when rowseal.input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end)))));
