-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("at" > (now() - cast('30 day' as interval)) and "day" <= cast(now() as "pg_catalog"."date") and (select (select case when pg_catalog.pg_input_is_valid(v.value, '"pg_catalog"."timestamptz"') then cast(v.value as "pg_catalog"."timestamptz") end from (select (case when pg_catalog.pg_input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #>> array['exp'] as value offset 0) as v) > now()));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("at" > (now() - cast('30 day' as interval)) and "day" <= cast(now() as "pg_catalog"."date") and (select (select case when rowseal.input_is_valid(v.value, '"pg_catalog"."timestamptz"') then cast(v.value as "pg_catalog"."timestamptz") end from (select (case when rowseal.input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #>> array['exp'] as value offset 0) as v) > now()));
