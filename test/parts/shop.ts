// The shop that end-to-end tests use: a table of orders by tenant, and the manifests that govern and audit it.
import pg from 'pg';
import type { Postgres } from './postgres.ts';

export const appPassword = 'shop-app';

export async function createShop(postgres: Postgres): Promise<void> {
  await withClient(postgres.uri(), async (client) => {
    await client.query(`
      create table public.orders (id bigint primary key, tenant_id text not null, item text not null, amount integer not null default 1);
      insert into public.orders values (1, 'acme', 'anvil', 2), (2, 'globex', 'globe', 5);
      create role app login password '${appPassword}';
      grant select, insert, update, delete, truncate on public.orders to app;`);
  });
}

export async function withClient<T>(uri: string, action: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: uri, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await action(client);
  } finally {
    await client.end();
  }
}

/** Runs statements as the application, for one tenant, in one transaction. */
export async function asTenant<T>(postgres: Postgres, tenant: string, action: (client: pg.Client) => Promise<T>): Promise<T> {
  return withClient(postgres.uri('postgres', 'app', appPassword), async (client) => {
    await client.query('begin');
    await client.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify({ tenant_id: tenant, sub: `user-of-${tenant}` })]);
    const result = await action(client);
    await client.query('commit');
    return result;
  });
}

const apiVersion = 'rowseal.dev/v1alpha1';

export const shop = {
  secret: (postgres: Postgres) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shop-admin' }, stringData: { uri: postgres.uri() } }),
  connection: (spec: object = {}) => ({
    apiVersion,
    kind: 'DatabaseConnection',
    metadata: { name: 'shop' },
    spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'shop-admin' }, tls: { mode: 'disable' } }, ...spec },
  }),
  policy: (spec: object = {}) => ({
    apiVersion,
    kind: 'RowPolicy',
    metadata: { name: 'orders' },
    spec: {
      databaseRef: { name: 'shop' },
      target: { schema: 'public', tables: ['orders'] },
      rules: [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['tenant_id'] }] } }],
      ...spec,
    },
  }),
  log: (storage: object, spec: object = {}) => ({
    apiVersion,
    kind: 'AuditLog',
    metadata: { name: 'shop' },
    spec: {
      origin: 'rowseal.example.com/shop',
      storage,
      retention: { days: 2, uncoveredDays: 1 },
      sealing: { maxDelay: '100ms' },
      publishing: { maxDelay: '500ms' },
      ...spec,
    },
  }),
  audit: (spec: object = {}) => ({
    apiVersion,
    kind: 'AuditPolicy',
    metadata: { name: 'orders' },
    spec: {
      databaseRef: { name: 'shop' },
      logRef: { name: 'shop' },
      tables: [{ name: 'orders', schema: 'public', tables: ['orders'] }],
      ...spec,
    },
  }),
} as const;
