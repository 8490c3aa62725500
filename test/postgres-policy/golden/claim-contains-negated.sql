-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ((select (cast('admin' as "pg_catalog"."text") is not null and not (cast('admin' as "pg_catalog"."text") = any (cast((select a.value from (select (select array(select cast(i.item as "pg_catalog"."text") from jsonb_array_elements_text(case when jsonb_typeof(c.value) = 'array' then c.value else jsonb_build_array(c.value) end) as i(item)) from (select (case when pg_catalog.pg_input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #> array['roles'] as value offset 0) as c where c.value <> 'null'::jsonb) as value offset 0) as a where not exists (select from unnest(a.value) as i(item) where i.item is null)) as "pg_catalog"."text"[]))))));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ((select (cast('admin' as "pg_catalog"."text") is not null and not (cast('admin' as "pg_catalog"."text") = any (cast((select a.value from (select (select array(select cast(i.item as "pg_catalog"."text") from jsonb_array_elements_text(case when jsonb_typeof(c.value) = 'array' then c.value else jsonb_build_array(c.value) end) as i(item)) from (select (case when rowseal.input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #> array['roles'] as value offset 0) as c where c.value <> 'null'::jsonb) as value offset 0) as a where not exists (select from unnest(a.value) as i(item) where i.item is null)) as "pg_catalog"."text"[]))))));
