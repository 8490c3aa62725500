-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("id" = any (array(select case when pg_catalog.pg_input_is_valid(i.item, '"pg_catalog"."int4"') then cast(i.item as "pg_catalog"."int4") end from (select (case when pg_catalog.pg_input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #> array['ids'] as value offset 0) as c, jsonb_array_elements_text(case when jsonb_typeof(c.value) = 'array' then c.value else '[null]'::jsonb end) as i(item))));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("id" = any (array(select case when rowseal.input_is_valid(i.item, '"pg_catalog"."int4"') then cast(i.item as "pg_catalog"."int4") end from (select (case when rowseal.input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #> array['ids'] as value offset 0) as c, jsonb_array_elements_text(case when jsonb_typeof(c.value) = 'array' then c.value else '[null]'::jsonb end) as i(item))));
