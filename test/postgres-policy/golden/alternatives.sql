-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using (("id" = cast('1' as "pg_catalog"."int4")) or ("id" = cast('2' as "pg_catalog"."int4") and "code" is null));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using (("id" = cast('1' as "pg_catalog"."int4")) or ("id" = cast('2' as "pg_catalog"."int4") and "code" is null));
