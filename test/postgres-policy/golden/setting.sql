-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("tenant_id" = (select case when pg_catalog.pg_input_is_valid(v.value, '"pg_catalog"."uuid"') then cast(v.value as "pg_catalog"."uuid") end from (select nullif(current_setting('app.tenant_id', true), '') as value offset 0) as v) and (select cast(nullif(current_setting('app.mode', true), '') as "pg_catalog"."text")) is null);

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("tenant_id" = (select case when rowseal.input_is_valid(v.value, '"pg_catalog"."uuid"') then cast(v.value as "pg_catalog"."uuid") end from (select nullif(current_setting('app.tenant_id', true), '') as value offset 0) as v) and (select cast(nullif(current_setting('app.mode', true), '') as "pg_catalog"."text")) is null);
