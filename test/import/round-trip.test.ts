// Import, and back: applied to the same database nothing is run, and to an empty copy of the schema the policies are the same to the letter.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseResource } from '../../src/model/validate.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { withClient } from '../parts/shop.ts';
import { createWorkspace, rowseal, startRowseal } from '../parts/standalone.ts';
import { sampleRoles, sampleSchemas } from './schemas.ts';

const policiesSql = `select coalesce(json_agg(p order by schemaname, tablename, policyname), '[]') as rows from pg_policies p where tablename <> 'asleep'`;
const flagsSql = `select coalesce(json_agg(json_build_array(relnamespace::regnamespace, relname, relrowsecurity, relforcerowsecurity) order by relnamespace::regnamespace::text, relname), '[]') as rows
  from pg_class where relkind in ('r', 'p') and relnamespace::regnamespace::text !~ '^(pg_|information_schema|rowseal)'`;
/** Row versions as well: a policy that was recreated or altered in between would show. */
const untouchedSql = `select coalesce(json_agg(json_build_array(p.oid, p.xmin::text, polname, obj_description(p.oid, 'pg_policy')) order by p.oid), '[]') as rows from pg_policy p`;
const emptySql = `do $$ declare t record; p record; begin
  for p in select * from pg_policies where tablename <> 'asleep' loop execute format('drop policy %I on %I.%I', p.policyname, p.schemaname, p.tablename); end loop;
  for t in select c.oid::regclass as name from pg_class c where c.relrowsecurity loop execute format('alter table %s disable row level security, no force row level security', t.name); end loop;
end $$`;

interface Sample {
  readonly database: string;
  readonly yaml: string;
  /** Names of its RowPolicies. */
  readonly policies: readonly string[];
  readonly before: { readonly policies: unknown; readonly flags: unknown; readonly untouched: unknown };
}

describe.each([18, 15] as const)('on PostgreSQL %i', { timeout: 300_000 }, (major) => {
  let postgres: Postgres;
  let samples: readonly Sample[] = [];
  const look = async (database: string, sql: string): Promise<unknown> => withClient(postgres.uri(database), async (client) => (await client.query<{ rows: unknown }>(sql)).rows[0]?.rows);

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    await withClient(postgres.uri(), (client) => client.query(sampleRoles));
    samples = await Promise.all(
      sampleSchemas.map(async ({ sql }, index): Promise<Sample> => {
        const database = `sample_${index}`;
        for (const name of [database, `${database}_copy`]) {
          await withClient(postgres.uri(), (client) => client.query(`create database ${name} template template0`));
          await withClient(postgres.uri(name), (client) => client.query(sql));
        }
        await withClient(postgres.uri(`${database}_copy`), (client) => client.query(emptySql));
        const before = { policies: await look(database, policiesSql), flags: await look(database, flagsSql), untouched: await look(database, untouchedSql) };
        return { database, yaml: '', policies: [], before };
      }),
    );
    samples = await oneByOne(samples, async (sample) => {
      const imported = await rowseal(['import', postgres.uri(sample.database), '--namespace', namespaceOf(sample), '--connection', 'shop']);
      expect(imported).toMatchObject({ status: 0, stderr: '' });
      expect(imported.stdout).not.toContain(postgres.password);
      const policies = parseAllDocuments(imported.stdout).map((document) => parseResource(document.toJS())).filter(({ kind }) => kind === 'RowPolicy');
      return { ...sample, yaml: imported.stdout, policies: policies.map(({ metadata }) => metadata.name) };
    });
  }, 300_000);
  afterAll(() => postgres?.stop());

  it.each(sampleSchemas.map(({ name, kept }, index) => [name, index, kept] as const))('reads %s as terms as far as it can', (_name, index, kept) => {
    expect(samples[index]?.yaml.match(/^ +sql: /gm)?.length ?? 0).toBe(kept);
  });

  it('plans nothing for the same database, and says how much is only recorded', async () => {
    const plan = await planned(postgres, samples);
    const headings = plan.split('\n').filter((line) => line.startsWith('RowPolicy'));
    expect(headings.length).toBe(samples.flatMap(({ policies }) => policies).length);
    expect(headings.filter((line) => !line.includes('nothing to do'))).toEqual([]);
    expect(plan).toContain('existing policies are as declared and only recorded');
  });

  it('adopts by touching nothing', async () => {
    await applied(postgres, samples, '');
    for (const { database, before } of samples) {
      expect(await look(database, untouchedSql)).toEqual(before.untouched);
      expect(await look(database, flagsSql)).toEqual(before.flags);
    }
    expect(await planned(postgres, samples)).not.toMatch(/existing polic|statements/);
  });

  it('gives an empty copy of the schema the same policies, to the letter', async () => {
    await applied(postgres, samples, '_copy');
    for (const { database, before } of samples) {
      expect(await look(`${database}_copy`, policiesSql)).toEqual(before.policies);
      expect(await look(`${database}_copy`, flagsSql)).toEqual(before.flags);
    }
  });
});

const namespaceOf = ({ database }: Pick<Sample, 'database'>): string => database.replace('_', '-');

async function oneByOne<T, R>(items: readonly T[], action: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await action(item));
  return results;
}

async function planned(postgres: Postgres, samples: readonly Sample[]): Promise<string> {
  const workspace = workspaceOf(postgres, samples, '');
  try {
    const plan = await rowseal(['plan', workspace.manifests]);
    expect(plan).toMatchObject({ status: 0, stderr: '' });
    return plan.stdout;
  } finally {
    workspace.remove();
  }
}

/** Runs the operator over all manifests until every RowPolicy is enforced. */
async function applied(postgres: Postgres, samples: readonly Sample[], suffix: string): Promise<void> {
  const workspace = workspaceOf(postgres, samples, suffix);
  const running = startRowseal(['run', '--manifests', workspace.manifests]);
  try {
    for (const sample of samples) for (const name of sample.policies) await enforced(() => workspace.status('RowPolicy', name, namespaceOf(sample)), `${sample.database}${suffix} ${name}`);
  } finally {
    await running.stop();
    workspace.remove();
  }
}

async function enforced(status: () => ReturnType<ReturnType<typeof createWorkspace>['status']>, what: string): Promise<void> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const ready = status()?.status.conditions?.find(({ type }) => type === 'Ready');
    if (ready?.status === 'True' && ready.reason === 'Enforced') return;
    if (Date.now() > deadline) throw new Error(`${what}: ${JSON.stringify(ready ?? 'no status')}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function workspaceOf(postgres: Postgres, samples: readonly Sample[], suffix: string): ReturnType<typeof createWorkspace> {
  const workspace = createWorkspace();
  for (const sample of samples) {
    writeFileSync(join(workspace.manifests, `${sample.database}.yaml`), sample.yaml);
    workspace.declare(`${sample.database}-secret.yaml`, [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shop', namespace: namespaceOf(sample) }, stringData: { uri: postgres.uri(`${sample.database}${suffix}`) } }]);
  }
  return workspace;
}
