-- Events in partitions by month; only the root is granted, and each partition is closed by itself.
reset role;
create role ingest login;
create role dashboard login;
set role owner;
create schema metrics;
grant usage on schema metrics to ingest, dashboard;
create table metrics.events (tenant text not null, at timestamptz not null, kind text not null, payload jsonb, primary key (tenant, at, kind)) partition by range (at);
create table metrics.events_2026_01 partition of metrics.events for values from ('2026-01-01') to ('2026-02-01');
create table metrics.events_2026_02 partition of metrics.events for values from ('2026-02-01') to ('2026-03-01');
create table metrics.events_rest partition of metrics.events default;
alter table metrics.events enable row level security, force row level security;
alter table metrics.events_2026_01 enable row level security, force row level security;
alter table metrics.events_2026_02 enable row level security, force row level security;
alter table metrics.events_rest enable row level security, force row level security;
create policy read_own on metrics.events for select to dashboard using (tenant = (select nullif(current_setting('metrics.tenant', true), '')));
create policy write_own on metrics.events for insert to ingest with check (tenant = (select nullif(current_setting('metrics.tenant', true), '')));
grant select on metrics.events to dashboard;
grant insert on metrics.events to ingest;
