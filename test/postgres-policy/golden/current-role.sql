-- PostgreSQL 18
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("owner" = (select cast(cast(current_user as "pg_catalog"."text") collate "default" as "pg_catalog"."text")));

-- PostgreSQL 15
alter table "public"."orders" enable row level security;
alter table "public"."orders" force row level security;
create policy "rowseal_shop_orders_r" on "public"."orders" as permissive for all to "app"
  using ("owner" = (select cast(cast(current_user as "pg_catalog"."text") collate "default" as "pg_catalog"."text")));
