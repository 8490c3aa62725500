// What a gap has swallowed is found by comparing a snapshot with what the log says, and sealed without an author; where it cannot be found, the gap says why.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { auditSettings, until } from '../parts/audited-database.ts';
import { type Baselined, openBaselined, withBaseline } from '../parts/baselined.ts';

interface Gap {
  readonly id: string;
  readonly ids?: readonly string[];
  readonly reconcilable?: boolean;
  readonly why?: string;
  readonly tables?: readonly { readonly table: string; readonly why: string }[];
  readonly operation?: string;
  readonly last?: true;
  readonly differences?: number;
  readonly reconciled?: boolean;
}

describe.each([15, 18] as const)('gaps on PostgreSQL %s', (major) => {
  let parts: Baselined;
  const { signal } = new AbortController();
  beforeAll(async () => {
    parts = await openBaselined(major);
  });
  afterAll(() => parts?.close());
  beforeEach(() => parts.fresh());

  const dropSlot = async (): Promise<void> => {
    await parts.stop();
    await parts.admin.query('select pg_drop_replication_slot($1)', [parts.database.audit.captureName(parts.writer().origin)]);
  };
  const gapsOf = (type: string): readonly Gap[] => parts.ofType(type).map((entry) => entry['gap'] as Gap);

  it('seals exactly the net differences, gap after gap', async () => {
    const { admin } = parts;
    const settings = withBaseline(['t'], major === 15 ? 'Full' : 'Keep');
    await admin.query(`create table t (id int primary key, v text); insert into t select n, 'v' || n from generate_series(1, 50) n`);
    await parts.start(settings);
    await parts.complete(1);
    await admin.query(`update t set v = 'seen' where id between 10 and 20; delete from t where id = 11; update t set id = 100 where id = 12`);
    await parts.settled('t');
    await dropSlot();
    await admin.query(`insert into t values (60, 'new'), (61, 'gone'); delete from t where id in (61, 1, 2); update t set v = 'lost' where id = 3; update t set v = 'back' where id = 4; update t set v = 'v4' where id = 4; update t set id = 70 where id = 5`);
    await parts.start(settings);
    await parts.complete(1);
    await admin.query(`update t set v = 'after' where id = 3`);
    await parts.settled('t');

    const [gap] = gapsOf('gap');
    expect(gap).toMatchObject({ reason: 'SlotMissing', reconcilable: true });
    const found = parts.ofType('gap.reconciled');
    expect(found.every((entry) => JSON.stringify(entry['actor']) === '{"unattributed":true}')).toBe(true);
    expect(found.flatMap((entry) => (entry['gap'] as Gap).ids)).toEqual(found.map(() => gap?.id));
    const said = found.filter((entry) => entry['change'] !== undefined).map((entry) => `${(entry['gap'] as Gap).operation} ${(entry['object'] as { key: { id: string } }).key.id}`);
    expect(said.sort()).toEqual(['delete 1', 'delete 2', 'delete 5', 'insert 60', 'insert 70', 'update 3']);
    expect(found.find((entry) => (entry['gap'] as Gap).operation === 'update')?.['change']).toEqual({ after: { id: '3', v: 'lost' }, before: { id: '3', v: 'v3' } });
    expect(gapsOf('gap.reconciled').at(-1)).toMatchObject({ last: true, reconciled: true, differences: 6 });
    // Before the first change after the gap.
    const types = parts.writer().entries().map((entry) => entry.type);
    expect(types.indexOf('gap.reconciled')).toBeGreaterThan(types.indexOf('gap'));
    expect(types.slice(types.indexOf('gap'), types.lastIndexOf('gap.reconciled')).some((type) => type.startsWith('row.'))).toBe(false);
    await parts.same('t');

    await dropSlot();
    await admin.query(`truncate t; insert into t values (3, 'only')`);
    await parts.start(settings);
    await parts.complete(1);
    await parts.settled('t');
    await parts.same('t');
    expect(gapsOf('gap')).toHaveLength(2);
    expect((await parts.run().status(signal)).gaps).toBe(2);
    // One whole baseline has served all along.
    expect(parts.ofType('baseline')).toHaveLength(50);
    await admin.query('drop table t');
  });

  it('says of which tables the rows cannot be found again, and takes a new baseline of them', async () => {
    const { admin } = parts;
    await admin.query(`create table t (id int primary key); insert into t values (1); create table keyless (id int, v text); insert into keyless values (1, 'a'); create table part (id int primary key, v text); insert into part values (1, 'x')`);
    const settings = withBaseline(['t', 'keyless', 'part']);
    const partly = { ...settings, tables: settings.tables.map((table) => (table.table === 'part' ? { ...table, operations: ['Insert' as const] } : table)) };
    await parts.start(partly);
    await parts.complete(3);
    await parts.settled('t');
    await dropSlot();
    await admin.query(`insert into t values (2); insert into keyless values (2, 'b'); update part set v = 'y'`);
    await parts.start(partly);
    await parts.complete(3);
    await parts.settled('t');
    expect(gapsOf('gap')).toEqual([
      expect.objectContaining({
        reconcilable: false,
        why: 'not every table can be replayed',
        tables: expect.arrayContaining([
          { schema: 'public', table: 'keyless', why: 'the table has no key' },
          { schema: 'public', table: 'part', why: 'not all operations are recorded' },
        ]) as unknown,
        tablesTotal: 2,
      }),
    ]);
    expect(parts.ofType('gap.reconciled').map((entry) => (entry['object'] as { table: string }).table)).toEqual(['t', 't']);
    const bases = (table: string) => new Set(parts.ofType('baseline').filter((entry) => (entry['object'] as { table: string }).table === table).map((entry) => (entry['baseline'] as { id: string }).id)).size;
    expect([bases('t'), bases('keyless'), bases('part')]).toEqual([1, 2, 2]);
    await parts.same('t');
    await admin.query('drop table t, keyless, part');
  });

  it('says that nothing was taken to compare with', async () => {
    const { admin } = parts;
    await admin.query('create table t (id int primary key)');
    await parts.start(auditSettings(['t']));
    await parts.settled('t');
    await dropSlot();
    await admin.query('insert into t values (1)');
    await parts.start(auditSettings(['t']));
    await parts.settled('t');
    expect(gapsOf('gap')).toEqual([expect.objectContaining({ reconcilable: false, why: 'no baseline was taken' })]);
    expect(parts.ofType('gap.reconciled')).toEqual([]);
    await admin.query('drop table t');
  });

  it('finds what was changed while a table was out of the publication', async () => {
    const { admin } = parts;
    await admin.query(`create table t (id int primary key, v text); insert into t values (1, 'a'), (2, 'b'); create table other (id int primary key)`);
    await parts.start(withBaseline(['t', 'other']));
    await parts.complete(2);
    await parts.settled('t');
    const name = parts.database.audit.captureName(parts.writer().origin);
    await admin.query(`begin; alter publication ${name} drop table t; commit; insert into t values (3, 'unseen'); delete from t where id = 1`);
    await until('the gap is sealed', () => gapsOf('gap').length > 0);
    await parts.complete(2);
    await parts.settled('t');
    expect(gapsOf('gap')).toEqual([expect.objectContaining({ scope: 'table', reconcilable: true })]);
    expect(gapsOf('gap.reconciled').map(({ operation, differences }) => operation ?? differences)).toEqual(['insert', 'delete', 2]);
    expect(new Set(gapsOf('gap.reconciled').flatMap(({ ids }) => ids))).toEqual(new Set(gapsOf('gap').map(({ id }) => id)));
    await parts.same('t');
    await admin.query('drop table t, other');
  });
});
