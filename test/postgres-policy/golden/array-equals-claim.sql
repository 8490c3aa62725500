-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("tags" = (select a.value from (select array(select cast(i.item as "pg_catalog"."text") from (select (case when pg_catalog.pg_input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #> array['tags'] as value offset 0) as c, jsonb_array_elements_text(case when jsonb_typeof(c.value) = 'array' then c.value else '[null]'::jsonb end) as i(item)) as value offset 0) as a where not exists (select from unnest(a.value) as i(item) where i.item is null)));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("tags" = (select a.value from (select array(select cast(i.item as "pg_catalog"."text") from (select (case when rowseal.input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #> array['tags'] as value offset 0) as c, jsonb_array_elements_text(case when jsonb_typeof(c.value) = 'array' then c.value else '[null]'::jsonb end) as i(item)) as value offset 0) as a where not exists (select from unnest(a.value) as i(item) where i.item is null)));
