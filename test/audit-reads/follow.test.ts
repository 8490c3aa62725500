// Following log files: every record once, through rotation, restarts and torn writes; what cannot be read any more is a sealed gap.
import { appendFileSync, mkdtempSync, rmSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createServerLog } from '../../src/adapters/postgres/server-log-files.ts';
import { parseRecords } from '../../src/adapters/postgres/server-log-records.ts';
import { startLogSource } from '../../src/audit/log-source.ts';
import { systemClock } from '../../src/cli/system.ts';
import { RowsealError } from '../../src/model/errors.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { ReadSettings } from '../../src/ports/server-log.ts';
import { until } from '../parts/audited-database.ts';
import { createMemoryWriter, type MemoryWriter } from '../parts/memory-writer.ts';

let folder: string;
let writer: MemoryWriter;
let age = 0;
const clock: Clock = { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(5, signal) };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rowseal-server-log-'));
  writer = createMemoryWriter();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const path = (name: string) => join(folder, name);
/** Each write is a second after the one before, as far as the files' times say. */
const stamp = (name: string) => utimesSync(path(name), 1_700_000_000 + age, 1_700_000_000 + ++age);
const audit = (n: number, text = 'select 1') => `AUDIT: SESSION,${n},1,READ,SELECT,TABLE,public.t,"${text}",<not logged>`;
const json = (n: number, fields: object = {}) =>
  `${JSON.stringify({ timestamp: '2026-11-25 01:02:03.456 UTC', user: 'app', dbname: 'shop', pid: 7, remote_host: '10.0.0.1', session_id: 'a.b', line_num: n, ps: 'SELECT', error_severity: 'LOG', message: audit(n), application_name: 'api', ...fields })}\n`;
const field = (text: string) => `"${text.replaceAll('"', '""')}"`;
const csv = (n: number, text = 'select 1') =>
  ['2026-11-25 01:02:03.456 UTC', field('app'), field('shop'), '7', field('10.0.0.1:5000'), 'a.b', String(n), field('SELECT'), '2026-11-25 01:00:00 UTC', '3/4', '0', 'LOG', '00000', field(audit(n, text.replaceAll('"', '""'))), '', '', '', '', '', '', '', '', field('api'), field('client backend'), '', '0'].join(',') + '\n';
const write = (name: string, text: string) => {
  appendFileSync(path(name), text);
  stamp(name);
};
const settings = (format: ReadSettings['format'] = 'jsonlog'): ReadSettings => ({ folder, format, statements: 'Omit' });
const follow = (format: ReadSettings['format'] = 'jsonlog', statements: ReadSettings['statements'] = 'Omit') =>
  startLogSource({ log: createServerLog(settings(format), 'shop'), writer, clock, settings: { ...settings(format), statements }, system: '1', database: 'shop' }, new AbortController().signal);
const reads = () => writer.entries().filter(({ type }) => type === 'read').map((entry) => (entry['read'] as { statementId: number }).statementId);
const gaps = () => writer.entries().filter(({ type }) => type === 'gap').map((entry) => (entry['gap'] as { reason: string }).reason);
const begun = () => until('the beginning', () => writer.entries().some(({ type }) => type === 'audit.start'));
const upTo = (n: number) => until(`record ${n}`, () => reads().includes(n));

describe('following', () => {
  it('begins at the end, goes through rotation, and repeats and loses nothing over restarts', async () => {
    write('a.json', json(1));
    let source = follow();
    await begun();
    write('a.json', json(2));
    await upTo(2);
    await source.end();
    write('a.json', json(3));
    write('b.json', json(4));
    write('c.json', json(5));
    source = follow();
    await upTo(5);
    unlinkSync(path('a.json'));
    write('c.json', json(6));
    await upTo(6);
    await source.end();
    expect(reads()).toEqual([2, 3, 4, 5, 6]);
    expect(gaps()).toEqual([]);
    const positions = writer.batches.map(({ state: { position } }) => `${position.incarnation}:${String(position.lsn).padStart(9, '0')}`);
    expect(positions).toEqual(positions.toSorted());
  });

  it.each([['jsonlog', 'a.json', json], ['csvlog', 'a.csv', csv]] as const)('waits for the rest of a torn record: %s', async (format, name, record) => {
    write(name, record(1));
    const source = follow(format);
    await begun();
    const whole = record(2);
    write(name, whole.slice(0, 40));
    for (let polls = 0; polls < 5; polls++) await systemClock.sleep(5, new AbortController().signal);
    write(name, whole.slice(40) + record(3));
    await upTo(3);
    await source.end();
    expect(reads()).toEqual([2, 3]);
    expect(gaps()).toEqual([]);
  });

  it('seals a gap for a file that is gone before its end, was cut, or was replaced under its name', async () => {
    write('a.json', json(1));
    let source = follow();
    await begun();
    write('a.json', json(2));
    await upTo(2);
    await source.end();
    write('a.json', json(3));
    unlinkSync(path('a.json'));
    write('b.json', json(4));
    source = follow();
    await upTo(4);
    await source.end();
    truncateSync(path('b.json'), 0);
    write('b.json', json(5).slice(0, -2).replace('{', '{ ').slice(0, 20));
    writeFileSync(path('b.json'), json(6, { application_name: 'x' }));
    stamp('b.json');
    source = follow();
    await upTo(6);
    await source.end();
    writeFileSync(path('b.json'), json(7, { application_name: 'a longer name than before, so that the size does not tell' }) + json(8));
    stamp('b.json');
    source = follow();
    await upTo(8);
    await source.end();
    expect(reads()).toEqual([2, 4, 6, 7, 8]);
    expect(gaps()[0]).toBe('FileMissing');
    expect(gaps()).toHaveLength(3);
    for (const reason of gaps().slice(1)) expect(['FileTruncated', 'FileReplaced']).toContain(reason);
  });

  it('seals what no record is, and goes on behind it', async () => {
    write('a.csv', csv(1));
    const source = follow('csvlog');
    await begun();
    write('a.csv', `half "of a record\n${csv(2)}`);
    write('a.csv', csv(3, 'select\n"two" lines'));
    await upTo(3);
    await source.end();
    expect(reads()).toEqual([2, 3]);
    expect(gaps()).toEqual(['Unreadable']);
  });

  it('takes a statement only when asked, never a parameter, and nothing of another database', async () => {
    write('a.csv', csv(1));
    const source = follow('csvlog', 'Record');
    await begun();
    write('a.csv', csv(2, 'select\n"two" lines') + csv(3).replace('"shop"', '"other"') + csv(4));
    await upTo(4);
    await source.end();
    const entry = writer.entries().find(({ type }) => type === 'read');
    expect(entry?.['read']).toEqual({ command: 'SELECT', logged: '2026-11-25 01:02:03.456 UTC', object: 'public.t', objectType: 'TABLE', scope: 'SESSION', session: 'a.b', statement: 'select\n"two" lines', statementId: 2, substatementId: 1 });
    expect(entry?.['actor']).toEqual({ application: 'api', client: '10.0.0.1', pid: 7, user: 'app' });
    expect(entry?.['time']).toBe('2026-11-25T01:02:03.456Z');
    expect(reads()).toEqual([2, 4]);
    expect(JSON.stringify(writer.entries())).not.toContain('not logged');
  });

  it('says when there is nothing to read, and begins when there is', async () => {
    rmSync(folder, { recursive: true });
    const source = follow();
    const problem = await until('a problem', () => source.problem());
    expect(problem).toBeInstanceOf(RowsealError);
    expect(problem.code).toBe('ServerLogUnreachable');
    await source.end();
  });
});

describe('records', () => {
  it('are the same in whatever pieces they are read, and any bytes end somewhere', () => {
    const whole = Buffer.from([1, 2, 3].map((n) => csv(n, 'a "b"\nc, d')).join(''));
    const all = parseRecords(whole, 'csvlog');
    expect(all.records).toHaveLength(3);
    expect(all.length).toBe(whole.length);
    const run = fc.check(
      fc.property(fc.nat(whole.length), fc.constantFrom('csvlog' as const, 'jsonlog' as const), fc.uint8Array({ maxLength: 300 }), (cut, format, junk) => {
        const first = parseRecords(whole.subarray(0, cut), 'csvlog');
        const second = parseRecords(whole.subarray(first.length), 'csvlog');
        expect(first.records.length + second.records.length).toBe(3);
        const odd = parseRecords(Buffer.concat([Buffer.from(junk), whole]), format);
        expect(odd.length).toBeLessThanOrEqual(junk.length + whole.length);
      }),
      { numRuns: 500 },
    );
    console.log(`seed ${run.seed}`);
    expect(run.failed, fc.defaultReportMessage(run) ?? '').toBe(false);
  });
});
