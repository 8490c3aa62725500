-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("id" = any (array(select case when pg_catalog.pg_input_is_valid(i.item, '"pg_catalog"."int4"') then cast(i.item as "pg_catalog"."int4") end from unnest(coalesce("string_to_array"((select cast(nullif(current_setting('app.ids', true), '') as "pg_catalog"."text")), cast(',' as "pg_catalog"."text")), array[null::text])) as i(item))));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("id" = any (array(select case when rowseal.input_is_valid(i.item, '"pg_catalog"."int4"') then cast(i.item as "pg_catalog"."int4") end from unnest(coalesce("string_to_array"((select cast(nullif(current_setting('app.ids', true), '') as "pg_catalog"."text")), cast(',' as "pg_catalog"."text")), array[null::text])) as i(item))));
