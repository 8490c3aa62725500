// The database that random sessions work on: tables whose triggers, functions, keys and partitions write elsewhere under other users.

export const loginPassword = 'oracle-login';
export const logins = ['app', 'batch'] as const;
/** Roles that a session may take on. */
export const roles = ['tenant_a', 'tenant_b'] as const;
/** Owner of the tables: what foreign keys cascade into is done as this user. */
export const owner = 'shopkeeper';

const sharedTables = ['account', 'ledger', 'keyless', 'node', 'parent', 'child', 'grandchild', 'region', 'stock', 'big', 'hot'];

/** Names of the tables that only this session touches: TRUNCATE and ALTER TABLE lock others out. */
export function ownTables(worker: number): { readonly scratch: string; readonly detail: string; readonly wide: string } {
  return { scratch: `scratch_${worker}`, detail: `detail_${worker}`, wide: `wide_${worker}` };
}

/** What is audited: partitions follow their root. */
export function auditedTables(workers: number): readonly string[] {
  return [...sharedTables, ...numbers(workers).flatMap((worker) => Object.values(ownTables(worker)))];
}

export function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

const users = `
create role ${owner}; create role keeper; create role steward;
${roles.map((role) => `create role ${role};`).join(' ')}
${logins.map((login) => `create role ${login} login password '${loginPassword}'; grant ${[...roles, owner].join(', ')} to ${login};`).join('\n')}
grant usage, create on schema public to ${owner}, keeper, steward;
grant usage on schema public to public;
grant create on database postgres to ${owner};`;

const tables = `
create table account (id bigint primary key, ticket bigint not null, balance numeric(14,2) not null, note text);
create table ledger (id bigint primary key, account bigint, what text);
create table keyless (id bigint, note text);
create table node (id bigint primary key, depth int);
create table parent (id bigint primary key, note text);
create table child (id bigint primary key, parent bigint references parent on delete cascade on update cascade, note text);
create index on child (parent);
create table grandchild (id bigint primary key, child bigint references child on delete set null, note text);
create index on grandchild (child);
create table region (id bigint, area text, note text, primary key (id, area)) partition by list (area);
create table region_eu partition of region for values in ('eu');
create table region_us partition of region for values in ('us');
create table region_ap partition of region for values in ('ap1', 'ap2') partition by list (area);
create table region_ap1 partition of region_ap for values in ('ap1');
create table region_ap2 partition of region_ap for values in ('ap2');
create table stock (id bigint primary key, quantity int not null, note text);
create table big (id bigint primary key, body text, label text);
alter table big alter column body set storage external;
create table hot (id bigint primary key, n int not null);
insert into hot select n, 0 from generate_series(1, 4) n;
create table oracle (worker int not null, pid int not null, xid xid8 not null default pg_current_xact_id(), expected jsonb not null);`;

/** Triggers and functions that write elsewhere: as their owner, as the caller, before, after, and nested in one another. */
const functions = `
create function account_touched() returns trigger language plpgsql security definer set search_path = public as $f$ begin
  if new.ticket <> old.ticket then insert into ledger values (new.ticket, new.id, 'touched'); end if; return new; end $f$;
create function account_opened() returns trigger language plpgsql as $f$ begin
  insert into ledger values (new.ticket, new.id, 'opened'); return null; end $f$;
create function bump(account bigint, amount numeric, ticket bigint) returns numeric language plpgsql security definer set search_path = public as $f$
declare result numeric; begin
  update account a set balance = balance + bump.amount, ticket = bump.ticket where a.id = bump.account returning balance into result; return result; end $f$;
create function attempt(account bigint, ticket bigint) returns void language plpgsql as $f$ begin
  begin
    insert into ledger values (attempt.ticket, attempt.account, 'lost');
    update account a set balance = 0 where a.id = attempt.account;
    raise exception 'undone';
  exception when raise_exception then insert into ledger values (attempt.ticket, attempt.account, 'survived'); end; end $f$;
create function as_other(name text, id bigint, note text) returns void language plpgsql as $f$ begin
  perform set_config('role', name, true); insert into keyless values (as_other.id, as_other.note); end $f$;
create function log_sql(id bigint, account bigint) returns bigint language sql security definer set search_path = public as $f$
  insert into ledger values (id, account, 'sql') returning id $f$;
create function node_spread() returns trigger language plpgsql security definer set search_path = public as $f$ begin
  if new.depth > 0 then insert into node values (new.id + 1, new.depth - 1); end if; return new; end $f$;
create function parent_counted() returns trigger language plpgsql security definer set search_path = public as $f$ begin
  insert into keyless values (current_setting('oracle.ticket')::bigint, 'counted'); return null; end $f$;`;

const triggers = `
create trigger touched before update on account for each row execute function account_touched();
create trigger opened after insert on account for each row execute function account_opened();
create trigger spread before insert on node for each row execute function node_spread();
create trigger counted after insert on parent for each statement execute function parent_counted();`;

const rights = `
alter function account_touched() owner to keeper;
alter function bump(bigint, numeric, bigint) owner to steward;
alter function log_sql(bigint, bigint) owner to steward;
alter function node_spread() owner to keeper;
alter function parent_counted() owner to steward;`;

/** Statements that make the database of this many sessions; run as a superuser. */
export function schemaSql(workers: number): string {
  const own = numbers(workers).map((worker) => {
    const { scratch, detail, wide } = ownTables(worker);
    return `create table ${scratch} (id bigint generated by default as identity primary key, note text);
create table ${detail} (id bigint primary key, scratch bigint references ${scratch}, note text);
create table ${wide} (id bigint primary key, note text);`;
  });
  const names = [...auditedTables(workers), 'region_eu', 'region_us', 'region_ap', 'region_ap1', 'region_ap2'];
  return [
    users,
    tables,
    ...own,
    functions,
    triggers,
    rights,
    names.map((name) => `alter table ${name} owner to ${owner};`).join(' '),
    `grant all on all tables in schema public to ${[...logins, ...roles, 'keeper', 'steward', owner].join(', ')};`,
    `alter default privileges for role ${owner} in schema public grant all on tables to ${[...logins, ...roles].join(', ')};`,
    `grant all on all sequences in schema public to ${[...logins, ...roles].join(', ')};`,
  ].join('\n');
}
