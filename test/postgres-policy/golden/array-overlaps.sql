-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("tags" && array[cast('a' as "pg_catalog"."text"), cast('b' as "pg_catalog"."text")] and "tags" && (select array(select cast(i.item as "pg_catalog"."text") from unnest(a.value) as i(item)) from (select "string_to_array"((select cast(nullif(current_setting('app.tags', true), '') as "pg_catalog"."text")), cast(',' as "pg_catalog"."text")) as value offset 0) as a where a.value is not null));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("tags" && array[cast('a' as "pg_catalog"."text"), cast('b' as "pg_catalog"."text")] and "tags" && (select array(select cast(i.item as "pg_catalog"."text") from unnest(a.value) as i(item)) from (select "string_to_array"((select cast(nullif(current_setting('app.tags', true), '') as "pg_catalog"."text")), cast(',' as "pg_catalog"."text")) as value offset 0) as a where a.value is not null));
