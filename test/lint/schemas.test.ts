// Whole schemas as applications have them: nothing grave is found where nothing is wrong, and exactly what is wrong elsewhere.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WitnessedFinding } from '../../src/lint/lint.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { withCase } from './harness.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres({ settings: ['wal_level = logical'] });
});
afterAll(() => postgres?.stop());

const schema = (name: string): string => readFileSync(new URL(`./schemas/${name}.sql`, import.meta.url), 'utf8');
const findingsIn = (name: string): Promise<readonly WitnessedFinding[]> => withCase(postgres, schema(name), ({ findings }) => findings);

/** What every database with claims in a setting has to know. */
const known = ['planner-estimates', 'unsigned-claims'];
const shown = ({ severity, lint, object, outcome }: WitnessedFinding): string => `${severity} ${lint}: ${object}${outcome?.result === 'Shown' ? ', shown' : ''}`;
const listOf = (findings: readonly WitnessedFinding[]): readonly string[] => findings.filter(({ lint }) => !known.includes(lint)).map(shown);

describe('well-made schemas', () => {
  test('a multi-tenant application', async () => {
    expect(listOf(await findingsIn('good-tenants'))).toEqual(['info unprotected-table: app.currencies']);
  });

  test('a Supabase project', async () => {
    expect(listOf(await findingsIn('good-supabase'))).toEqual([
      'warning bypassing-role: role service_role',
      'warning evaluated-per-row: policy Owners remove members on public.memberships',
      'warning set-role-path: role authenticator',
      'info always-true: policy Profiles are viewable by everyone on public.profiles',
      'info public-writes: public.contact_requests',
      'info publication: publication supabase_realtime',
    ]);
  });

  test('events in partitions', async () => {
    expect(listOf(await findingsIn('good-partitions'))).toEqual([]);
  });
});

describe('schemas with holes', () => {
  test('a Supabase project made in a hurry', async () => {
    expect(listOf(await findingsIn('bad-supabase'))).toEqual([
      'error client-claims: policy admins read invoices on public.invoices, shown',
      'error definer-function: function public.all_invoices(), shown',
      'error definer-function: function public.search_notes(term text)',
      'error mutable-search-path: function public.search_notes(term text)',
      'error open-without-claims: policy read own notes on public.notes, shown',
      'error weak-write-policy: public.invoices',
      'warning always-true: policy update invoices on public.invoices',
      'warning evaluated-per-row: policy admins read invoices on public.invoices',
      'warning evaluated-per-row: policy read own notes on public.notes',
      'warning evaluated-per-row: policy see own on public.team_members',
      'warning membership-writable: public.team_members',
      'warning unprotected-table: public.teams',
      'info missing-index: public.team_members',
    ]);
  });

  test('an application that grew', async () => {
    expect(listOf(await findingsIn('bad-legacy'))).toEqual([
      'error definer-function: function public.purge()',
      'error definer-view: public.order_list, shown',
      'error instead-of-trigger: trigger close on public.order_list, shown',
      'error membership-writable: public.permissions, shown',
      'error rewrite-rule: rule cancel on public.order_list, shown',
      'error unprotected-table: public.permissions',
      'warning cast-cuts: policy tenant on public.customers',
      'warning claim-pattern: policy search on public.customers, shown',
      'warning foreign-key-oracle: constraint orders_customer_fkey on public.orders',
      'warning mutable-search-path: function public.close_order()',
      'warning null-matches: policy tenant on public.customers, shown',
      'warning owner-without-force: public.customers, shown',
      'warning owner-without-force: public.orders, shown',
      'warning publication: publication warehouse',
      'warning replication-role: role etl',
      'info dead-policy: policy clerks on public.orders',
      'info evaluated-per-row: policy search on public.customers',
      'info evaluated-per-row: policy tenant on public.customers',
      'info missing-index: public.orders',
      'info unique-oracle: index customers_pkey on public.customers',
      'info unique-oracle: index orders_pkey on public.orders',
    ]);
  });
});
