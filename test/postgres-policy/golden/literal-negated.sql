-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using (not ("id" < cast('1''' as "pg_catalog"."int4")));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using (not ("id" < cast('1''' as "pg_catalog"."int4")));
