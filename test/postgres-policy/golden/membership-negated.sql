-- PostgreSQL 18
create or replace function "rowseal"."member_f2c8c28a119df4b3808b1fdf"(text, jsonb) returns setof "pg_catalog"."uuid" language sql stable security definer parallel safe set search_path = pg_catalog, pg_temp set row_security = off as 'select cast(m."tenant_id" as "pg_catalog"."uuid") from "public"."members" as m where m."owner" = (select cast($1 collate "default" as "pg_catalog"."text")) and m."code" = (select cast($2 #>> array[''sub''] as "pg_catalog"."varchar"))';
alter function "rowseal"."member_f2c8c28a119df4b3808b1fdf"(text, jsonb) owner to current_user;
revoke all on function "rowseal"."member_f2c8c28a119df4b3808b1fdf"(text, jsonb) from public;
grant execute on function "rowseal"."member_f2c8c28a119df4b3808b1fdf"(text, jsonb) to "app";
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ((((select cast(cast(current_user as "pg_catalog"."text") collate "default" as "pg_catalog"."text")) is not null) and ((select cast((case when pg_catalog.pg_input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #>> array['sub'] as "pg_catalog"."varchar")) is not null) and ("tenant_id" is not null and not ("tenant_id" = any (array(select "rowseal"."member_f2c8c28a119df4b3808b1fdf"(cast(current_user as "pg_catalog"."text"), (case when pg_catalog.pg_input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end))))))));

-- PostgreSQL 15
create or replace function "rowseal"."member_f2c8c28a119df4b3808b1fdf"(text, jsonb) returns setof "pg_catalog"."uuid" language sql stable security definer parallel safe set search_path = pg_catalog, pg_temp set row_security = off as 'select cast(m."tenant_id" as "pg_catalog"."uuid") from "public"."members" as m where m."owner" = (select cast($1 collate "default" as "pg_catalog"."text")) and m."code" = (select cast($2 #>> array[''sub''] as "pg_catalog"."varchar"))';
alter function "rowseal"."member_f2c8c28a119df4b3808b1fdf"(text, jsonb) owner to current_user;
revoke all on function "rowseal"."member_f2c8c28a119df4b3808b1fdf"(text, jsonb) from public;
grant execute on function "rowseal"."member_f2c8c28a119df4b3808b1fdf"(text, jsonb) to "app";
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ((((select cast(cast(current_user as "pg_catalog"."text") collate "default" as "pg_catalog"."text")) is not null) and ((select cast((case when rowseal.input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end) #>> array['sub'] as "pg_catalog"."varchar")) is not null) and ("tenant_id" is not null and not ("tenant_id" = any (array(select "rowseal"."member_f2c8c28a119df4b3808b1fdf"(cast(current_user as "pg_catalog"."text"), (case when rowseal.input_is_valid(nullif(current_setting('request.jwt.claims', true), ''), '"pg_catalog"."jsonb"') then cast(nullif(current_setting('request.jwt.claims', true), '') as "pg_catalog"."jsonb") end))))))));
