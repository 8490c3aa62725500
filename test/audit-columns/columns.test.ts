// Omitted, hashed and redacted columns: their values are nowhere in what leaves the process, whatever happens to the table.
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeclaredColumn } from '../../src/model/audited-columns.ts';
import type { AuditSettings } from '../../src/ports/audit-settings.ts';
import { auditSettings } from '../parts/audited-database.ts';
import { type CapturedDatabase, startCaptured } from '../parts/captured.ts';
import type { CapturedEntry } from '../parts/memory-writer.ts';

const key = Buffer.alloc(32, 7);
const keyId = 'k1';
const columns: readonly DeclaredColumn[] = [
  { column: 'card', mode: 'omit' },
  { column: 'email', mode: 'hash', keyId },
  { column: 'note', mode: 'redact' },
];
const secretKey: readonly DeclaredColumn[] = [{ column: 'email', mode: 'hash', keyId }];
const mistaken: readonly DeclaredColumn[] = [{ column: 'crad', mode: 'omit' }];

const schema = `
  create table people (id int primary key, card text, email text, note text, name text); alter table people alter note set storage external, alter card set storage external, alter email set storage external;
  create table kept (id int primary key, card text, email text, note text, name text); alter table kept alter card set storage external;
  create table mails (email text primary key, name text);
  create table mistaken (id int primary key, card text, name text);
  create table moved (id int primary key, card text, email text, note text, name text);
  create table tree (id int, region text, card text, email text, note text, name text, primary key (id, region)) partition by list (region);
  create table tree_eu (name text, gone int, card text, note text, email text, region text not null, id int not null); alter table tree_eu drop column gone; alter table tree_eu add primary key (id, region); alter table tree attach partition tree_eu for values in ('eu');
  insert into people values (0, 'SECRET-card-0', 'SECRET-mail-0', 'SECRET-note-0', 'zero')`;

function settings(): AuditSettings {
  const treated = new Map<string, readonly DeclaredColumn[]>([['people', columns], ['kept', columns], ['mails', secretKey], ['mistaken', mistaken], ['moved', columns], ['tree', columns]]);
  const plain = auditSettings(['fence', 'kept', 'mails', 'mistaken', 'moved', 'people', 'tree']);
  return {
    ...plain,
    tables: plain.tables.map((table) => ({ ...table, ...(table.table === 'people' ? { baseline: true as const } : {}), ...(treated.has(table.table) ? { columns: treated.get(table.table) ?? [] } : {}) })),
    hashKeys: new Map([[keyId, key]]),
  };
}

const hashed = (value: string) => `hmac-sha256:${createHmac('sha256', key).update(value).digest('hex')}`;
const redacted = '[redacted]';
const rowsOf = (entries: readonly CapturedEntry[]) => entries.filter((entry) => entry.type.startsWith('row.')).map((entry) => entry['change'] as { before?: Record<string, unknown>; after?: Record<string, unknown>; unsent?: readonly string[] });
const keysOf = (entries: readonly CapturedEntry[]) => entries.filter((entry) => entry.type.startsWith('row.')).map((entry) => (entry['object'] as { key?: unknown }).key);
const long = (word: string) => `repeat('SECRET-${word}', 500)`;

describe.each([15, 18] as const)('columns on PostgreSQL %s', (major) => {
  let captured: CapturedDatabase;
  const entriesOf: CapturedDatabase['entriesOf'] = (...statements) => captured.entriesOf(...statements);
  const looked = async (problem: string | undefined, table: string) => {
    for (;;) {
      const look = await captured.database.audit.look(captured.writer.origin, settings(), AbortSignal.timeout(20_000));
      const found = look.tables.find((one) => one.table === table);
      if (problem === undefined ? found?.problems.length === 0 : found?.problems.includes(problem as never)) return found;
    }
  };
  /** Until the configuration that the catalog asks for now is in the log. */
  const configured = async () => {
    await captured.run.configure({ ...settings(), connection: String(Math.random()) }, AbortSignal.timeout(20_000));
    await entriesOf();
  };

  beforeAll(async () => {
    captured = await startCaptured({ major, schema, settings: settings() });
  });
  afterAll(async () => captured?.close());

  it('says what it does to each column in the relation entry, and leaves, hashes and redacts values before and after', async () => {
    const entries = await entriesOf(
      `insert into people values (1, 'SECRET-c', 'SECRET-e', 'SECRET-n', 'open'), (2, null, null, null, null)`,
      `update people set name = 'other', email = 'SECRET-e2' where id = 1`,
      `delete from people where id = 1`,
    );
    expect(rowsOf(entries)).toEqual([
      { after: { id: '1', email: hashed('SECRET-e'), note: redacted, name: 'open' } },
      { after: { id: '2', email: null, note: redacted, name: null } },
      { before: { id: '1', email: hashed('SECRET-e'), note: redacted, name: 'open' }, after: { id: '1', email: hashed('SECRET-e2'), note: redacted, name: 'other' } },
      { before: { id: '1', email: hashed('SECRET-e2'), note: redacted, name: 'other' } },
    ]);
    const relation = entries.find((entry) => entry.type === 'relation')?.['relation'] as { columns: readonly Record<string, unknown>[] };
    expect(relation.columns.map(({ name, treatment, hashKey }) => [name, treatment, hashKey])).toEqual([
      ['id', undefined, undefined], ['card', 'omit', undefined], ['email', 'hash', keyId], ['note', 'redact', undefined], ['name', undefined, undefined],
    ]);
  });

  it('treats the baseline in the same way', async () => {
    const baseline = captured.writer.entries().filter((entry) => entry.type === 'baseline');
    expect(baseline.map((entry) => entry['change'])).toEqual([{ after: { id: '0', email: hashed('SECRET-mail-0'), note: redacted, name: 'zero' } }]);
  });

  it('never names an omitted or redacted value as unsent, and hashes a value that was not sent again', async () => {
    await captured.admin.query(`alter table kept replica identity default`);
    const kept = await entriesOf(`insert into kept values (1, ${long('c')}, 'SECRET-e', 'SECRET-n', 'a')`, `update kept set name = 'b'`);
    expect(rowsOf(kept)[1]?.after).toEqual({ id: '1', email: hashed('SECRET-e'), note: redacted, name: 'b' });
    expect(rowsOf(kept)[1]?.unsent).toBeUndefined();
    const full = await entriesOf(`insert into people values (5, ${long('c')}, ${long('e')}, ${long('n')}, 'a')`, `update people set name = 'b' where id = 5`);
    const value = hashed('SECRET-e'.repeat(500));
    expect(rowsOf(full)[1]).toEqual({ before: { id: '5', email: value, note: redacted, name: 'a' }, after: { id: '5', email: value, note: redacted, name: 'b' } });
  });

  it('keeps a hashed column usable as a key', async () => {
    const entries = await entriesOf(`insert into mails values ('SECRET-m', 'a')`, `update mails set name = 'b'`, `delete from mails`);
    expect(keysOf(entries)).toEqual(Array.from({ length: 3 }, () => ({ email: hashed('SECRET-m') })));
  });

  it('redacts all of a table where a declared column was never found, and says so', async () => {
    const entries = await entriesOf(`insert into mistaken values (1, 'SECRET-card', 'SECRET-name')`);
    expect(rowsOf(entries)).toEqual([{ after: { id: redacted, card: redacted, name: redacted } }]);
    expect(await looked('ColumnMissing', 'mistaken')).toMatchObject({ columns: ['crad'] });
  });

  it('keeps columns out that are renamed, swapped, dropped, or dropped and replaced under the same names, in the same transaction or not', async () => {
    const renamed = await entriesOf(`alter table moved rename card to number`, `insert into moved values (1, 'SECRET-c', 'SECRET-e', 'SECRET-n', 'a')`);
    expect(rowsOf(renamed)[0]?.after).toEqual({ id: '1', email: hashed('SECRET-e'), note: redacted, name: 'a' });
    expect(await looked('ColumnRenamed', 'moved')).toMatchObject({ columns: ['card'] });
    await configured();
    const still = await entriesOf(`insert into moved values (2, 'SECRET-c', 'SECRET-e', 'SECRET-n', 'a')`);
    expect(rowsOf(still)[0]?.after).toEqual({ id: '2', email: hashed('SECRET-e'), note: redacted, name: 'a' });
    // What is called card now is kept out, too: nobody can tell which of them was meant.
    const swapped = await entriesOf('begin', `alter table moved rename name to card`, `alter table moved rename number to name`, `insert into moved (id, name, card) values (3, 'SECRET-c', 'b')`, 'commit', `insert into moved (id, name) values (4, 'SECRET-d')`);
    expect(rowsOf(swapped).every(({ after }) => !JSON.stringify(after).includes('SECRET'))).toBe(true);
    await configured();
    const after = await entriesOf(`insert into moved (id, name, card, email) values (5, 'SECRET-c', 'SECRET-or-not', 'SECRET-e')`);
    expect(rowsOf(after)[0]?.after).toEqual({ id: '5', email: hashed('SECRET-e'), note: redacted });
    // The same names in the same order, and yet the values have moved.
    const replaced = await entriesOf('begin', `alter table moved drop column note`, `alter table moved rename email to note`, `alter table moved add email text`, `insert into moved (id, note, email) values (6, 'SECRET-e', 'SECRET-new')`, 'commit');
    expect(JSON.stringify(rowsOf(replaced))).not.toContain('SECRET');
    await configured();
    const last = await entriesOf(`insert into moved (id, note, email) values (7, 'SECRET-e', 'SECRET-new')`);
    expect(JSON.stringify(rowsOf(last))).not.toContain('SECRET');
  });

  it('keeps the other columns readable while one is dropped or added', async () => {
    const entries = await entriesOf(
      `insert into kept values (20, 'SECRET-c', 'SECRET-e', 'SECRET-n', 'a')`,
      'begin', `alter table kept add extra text`, `insert into kept values (21, 'SECRET-c', 'SECRET-e', 'SECRET-n', 'a', 'x')`, 'commit',
    );
    expect(rowsOf(entries).map(({ after }) => after)).toEqual([
      { id: '20', email: hashed('SECRET-e'), note: redacted, name: 'a' },
      { id: '21', email: hashed('SECRET-e'), note: redacted, name: 'a', extra: 'x' },
    ]);
    await configured();
    const dropped = await entriesOf(`alter table kept drop column card`, `insert into kept values (22, 'SECRET-e', 'SECRET-n', 'a', 'x')`);
    expect(rowsOf(dropped)[0]?.after).toEqual({ id: '22', email: hashed('SECRET-e'), note: redacted, name: 'a', extra: 'x' });
    expect(await looked('ColumnDropped', 'kept')).toMatchObject({ columns: ['card'] });
  });

  it('follows partitions whose columns have another order, also one that is new', async () => {
    const entries = await entriesOf(
      `insert into tree values (1, 'eu', 'SECRET-c', 'SECRET-e', 'SECRET-n', 'a')`,
      'begin', `create table tree_us partition of tree for values in ('us')`, `insert into tree values (2, 'us', 'SECRET-c', 'SECRET-e', 'SECRET-n', 'a')`, 'commit',
    );
    expect(rowsOf(entries).map(({ after }) => after)).toEqual(['eu', 'us'].map((region, index) => ({ id: String(index + 1), region, email: hashed('SECRET-e'), note: redacted, name: 'a' })));
    await configured();
    const renamed = await entriesOf(`alter table tree rename card to number`, 'begin', `create table tree_asia partition of tree for values in ('asia')`, `insert into tree values (3, 'asia', 'SECRET-c', 'SECRET-e', 'SECRET-n', 'a')`, 'commit');
    expect(JSON.stringify(rowsOf(renamed))).not.toContain('SECRET');
  });

  it('has let none of the values out, in entries and blobs', () => {
    const bytes = Buffer.concat(captured.writer.batches.flatMap((batch) => [batch.entries.bytes, Buffer.from(JSON.stringify(batch.state.configuration)), ...(batch.blobs ?? [])]));
    expect(bytes.length).toBeGreaterThan(10_000);
    expect(bytes.includes('SECRET')).toBe(false);
    expect(bytes.includes(key.toString('base64')) || bytes.includes(key.toString('hex')) || bytes.includes(key)).toBe(false);
  });
});
