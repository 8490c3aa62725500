-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ((select (select cast((case when pg_catalog.pg_input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #>> array['admin'] as "pg_catalog"."text")) = cast('true' as "pg_catalog"."text")));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ((select (select cast((case when rowseal.input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #>> array['admin'] as "pg_catalog"."text")) = cast('true' as "pg_catalog"."text")));
