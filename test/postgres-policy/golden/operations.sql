alter table "public"."or""ders" enable row level security;
alter table "public"."or""ders" force row level security;
alter table "public"."or""ders" no force row level security;
alter table "public"."or""ders" disable row level security;
create policy "rowseal_shop_orders_r" on "public"."or""ders" as restrictive for insert to PUBLIC
  using ("id" = cast('1' as "pg_catalog"."int4"))
  with check (false);
alter policy "rowseal_shop_orders_r" on "public"."or""ders" to "app"
  using ("id" = cast('1' as "pg_catalog"."int4"));
drop policy "rowseal_shop_orders_r" on "public"."or""ders";
