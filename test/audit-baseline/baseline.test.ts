// What a baseline and the changes after it say is what the table holds, whoever writes meanwhile.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../parts/audited-database.ts';
import { type Baselined, openBaselined, withBaseline } from '../parts/baselined.ts';
import { supportedMajors } from '../parts/postgres.ts';
import { keepWriting } from './busy-writers.ts';

describe.each(supportedMajors)('baselines on PostgreSQL %s', (major) => {
  let parts: Baselined;
  const { signal } = new AbortController();
  beforeAll(async () => {
    parts = await openBaselined(major);
  });
  afterAll(() => parts?.close());
  beforeEach(() => parts.fresh());

  it('is row for row the slot’s start, before the first change of the WAL', async () => {
    const { admin } = parts;
    await admin.query(`create table a (id int primary key, v text); insert into a select n, 'v' || n from generate_series(1, 500) n; create table empty (id int primary key)`);
    await parts.start(withBaseline(['a', 'empty']));
    await admin.query(`update a set v = 'changed' where id <= 10; delete from a where id > 490; update a set id = id + 1000 where id between 20 and 30`);
    await parts.complete(2);
    await parts.settled('a');
    const types = parts.writer().entries().map((entry) => entry.type);
    expect(types.lastIndexOf('baseline')).toBeLessThan(types.findIndex((type) => type.startsWith('row.')));
    const sealed = parts.ofType('baseline');
    expect(sealed).toHaveLength(501);
    const last = sealed.map((entry) => entry['baseline'] as { last?: true; rows?: number }).filter((one) => one.last === true);
    expect(new Set(last.map(({ rows }) => rows))).toEqual(new Set([0, 500]));
    expect(sealed.every((entry) => entry['actor'] === undefined)).toBe(true);
    expect(new Set(sealed.map((entry) => (entry['source'] as { lsn: string }).lsn)).size).toBe(1);
    // Stream and snapshot describe a table alike.
    const relations = parts.ofType('relation').map((entry) => entry['relation'] as { table: string });
    expect(new Set(relations.map((one) => JSON.stringify(one))).size).toBe(new Set(relations.map((one) => one.table)).size);
    await parts.same('a');
    await parts.same('empty');
    await admin.query('drop table a, empty');
  });

  it('equals the table at a later instant while many write', async () => {
    const { admin } = parts;
    await admin.query(`create table busy (id int primary key, v text); insert into busy select n, repeat('x', n % 200) from generate_series(1, 5000) n`);
    const busy = await keepWriting(parts.server);
    await parts.start(withBaseline(['busy']));
    await parts.complete(1);
    await busy.stop();
    await parts.settled('busy');
    await parts.same('busy');
    await admin.query('drop table busy');
  });

  // The ends of what is supported stand for what lies between.
  it.runIf(major === 15 || major === 18)('takes the rows of a table that is declared later, and of a partition that comes with rows, while others write', async () => {
    const { admin } = parts;
    await admin.query(`create table busy (id int primary key, v text); insert into busy select n, 'x' from generate_series(1, 2000) n; create table first (id int primary key);
      create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (-10) to (100); insert into p select n from generate_series(1, 9) n`);
    const busy = await keepWriting(parts.server);
    await parts.start(withBaseline(['first', 'p']));
    await parts.complete(2);
    await parts.run().configure(withBaseline(['first', 'p', 'busy']), signal);
    await parts.complete(3);
    await busy.stop();
    await admin.query('create table p2 (id int primary key); insert into p2 select n from generate_series(100, 120) n; alter table p attach partition p2 for values from (100) to (200)');
    await parts.complete(4);
    await admin.query('delete from p where id in (3, 103); insert into p values (50), (150)');
    await parts.settled('busy');
    await parts.settled('p');
    for (const table of ['busy', 'p1', 'p2']) await parts.same(table);
    await admin.query('drop table busy, first, p');
  });

  it.runIf(major === 15 || major === 18)('supersedes what a crash left unfinished by a newer snapshot', async () => {
    const { admin } = parts;
    await admin.query(`create table big (id int primary key, v text); insert into big select n, repeat('y', 400) from generate_series(1, 6000) n; create table small (id int primary key); insert into small values (1)`);
    const dies = dyingWriter(parts, 2);
    const crashed = await parts.database.start(dies, withBaseline(['small', 'big'])).catch(() => undefined);
    await until('the log has a part of it, and refuses the rest', () => dies.refused() && parts.ofType('baseline').length > 0);
    await crashed?.stop();
    const whole = parts.ofType('baseline').filter((entry) => (entry['baseline'] as { rows?: number }).rows === 6000);
    expect(whole).toEqual([]);
    await admin.query(`delete from big where id % 2 = 0; insert into big values (10000, 'new')`);
    await parts.stop();
    await parts.start(withBaseline(['small', 'big']));
    await parts.complete(2);
    await parts.settled('big');
    await parts.same('big');
    await parts.same('small');
    await admin.query('drop table big, small');
  });
});

/** Commits so many batches of a baseline, and nothing after them. */
function dyingWriter(parts: Baselined, batches: number) {
  const writer = parts.writer();
  let left = batches;
  return {
    ...writer,
    refused: () => left < 0,
    append: async (...[batch, signal]: Parameters<typeof writer.append>) => {
      if (batch.state.source.startsWith('baseline/')) left -= 1;
      if (left < 0) throw new Error('the process died');
      await writer.append(batch, signal);
    },
  };
}
