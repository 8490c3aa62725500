-- An application that grew: views, rules, triggers, reports and archives around two tables under row security.
reset role;
create role web login;
create role clerk login;
create role etl login replication;
set role owner;
create table customers (id int primary key, tenant varchar(8), name text);
create table orders (id int primary key, tenant varchar(8), customer int references customers, state text);
create table permissions (role_name text, tenant varchar(8));
insert into customers values (1, 'acme', 'a'), (2, 'globex', 'b'), (3, null, 'c');
insert into orders values (1, 'acme', 1, 'open'), (2, 'globex', 2, 'open');
alter table customers enable row level security;
alter table orders enable row level security;
create policy tenant on customers to web using (tenant is not distinct from current_setting('app.tenant', true)::varchar(8));
create policy search on customers for select to clerk using (tenant like current_setting('app.tenant', true));
create policy tenant on orders to web using (tenant = any (array(select p.tenant from permissions p where p.role_name = current_setting('app.user', true))));
create policy clerks on orders for update to clerk using (exists (select from permissions p where p.tenant = orders.tenant and p.role_name = current_user));

create view order_list as select id, state from orders;
create rule cancel as on delete to order_list do instead delete from orders o where o.id = old.id;
create function close_order() returns trigger language plpgsql security definer as $$ begin update orders set state = 'closed' where id = old.id; return new; end $$;
create trigger close instead of update on order_list for each row execute function close_order();
create function purge() returns void language sql security definer set search_path = public, pg_temp as 'delete from orders where state is null';

grant select, insert, update, delete on customers, orders to web;
grant select on customers to clerk;
grant select, insert on permissions to web, clerk;
grant select, update, delete on order_list to web;
grant select on orders to etl;
reset role;
create publication warehouse for all tables;
