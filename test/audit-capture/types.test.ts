// Values arrive as the server writes them, whatever their type, encoding, and the settings of database and role.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditSettings } from '../parts/audited-database.ts';
import { type CapturedDatabase, startCaptured } from '../parts/captured.ts';
import type { CapturedEntry } from '../parts/memory-writer.ts';
import { supportedMajors } from '../parts/postgres.ts';
import { typeValues, withoutValues } from '../parts/type-values.ts';

const tables = ['fence', 'every', 'own'];
const schema = `
  -- What a database prefers must not reach the log: the same value would be written in two ways.
  alter database captured set datestyle to 'German'; alter database captured set timezone to 'Asia/Kolkata'; alter database captured set intervalstyle to 'iso_8601';
  alter database captured set bytea_output to 'escape'; alter database captured set extra_float_digits to '-3'; alter database captured set search_path to 'public';
  create type mood as enum ('sad', 'so''so', 'happy "x"');
  create domain short as text check (length(value) < 10);
  create type pair as (a int, b text[], c mood);
  create type span as range (subtype = float8, multirange_type_name = spans);
  create table every (id int primary key, what text not null);
  create table own (id int primary key, mood mood, moods mood[], short short, pair pair, pairs pair[], span span, spans spans, cube int[][][], texts text[]);`;

interface Row {
  readonly after?: Readonly<Record<string, unknown>>;
}
const changeOf = (entry: CapturedEntry | undefined) => (entry?.['change'] ?? {}) as Row;

describe.each(supportedMajors)('types on PostgreSQL %s', (major) => {
  let captured: CapturedDatabase;
  let names: readonly string[];

  beforeAll(async () => {
    captured = await startCaptured({ major, schema, settings: auditSettings(tables) });
    await captured.admin.query(`set datestyle to ISO; set timezone to UTC; set intervalstyle to postgres; set bytea_output to hex; set extra_float_digits to 1; set search_path to ''`);
    const { rows } = await captured.admin.query<{ typname: string }>(
      `select typname from pg_type where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm', 'e') and typcategory <> 'A' and typname !~ '^_' order by 1`,
    );
    names = rows.map((row) => row.typname).filter((name) => !withoutValues.includes(name));
  });
  afterAll(async () => captured?.close());

  it('knows a value of each', () => {
    expect(names.filter((name) => typeValues[name] === undefined)).toEqual([]);
  });

  it('takes each value, and an array of them, as the output function writes it', async () => {
    const columns: string[] = [];
    for (const name of names) for (const [index] of (typeValues[name] ?? []).entries()) columns.push(`"${name} ${index}" pg_catalog."${name}"`);
    const arrays = names.filter((name) => !['int2vector', 'oidvector'].includes(name));
    for (const name of arrays) columns.push(`"${name} all" pg_catalog."${name}"[]`);
    const entries = await captured.entriesAfter(async () => {
      await captured.admin.query(`alter table public.every ${columns.map((column) => `add column ${column}`).join(', ')}`);
      const literal = (value: string) => `'${value.replaceAll("'", "''")}'`;
      const values = names.flatMap((name) => (typeValues[name] ?? []).map((value) => `${literal(value)}::pg_catalog."${name}"`));
      const lists = arrays.map((name) => `array[${(typeValues[name] ?? []).map((value) => `${literal(value)}::pg_catalog."${name}"`).join(', ')}, null]`);
      await captured.admin.query(`insert into public.every values (1, 'values', ${[...values, ...lists].join(', ')})`);
    });
    const list = columns.map((column) => column.slice(0, column.indexOf('" ') + 1));
    const { rows } = await captured.admin.query<Record<string, string>>(`select ${list.map((column) => `format('%s', ${column}) as ${column}`).join(', ')} from public.every`);
    expect(changeOf(entries.find((entry) => entry.type === 'row.insert')).after).toEqual({ id: '1', what: 'values', ...rows[0] });
    const relation = entries.filter((entry) => entry.type === 'relation').at(-1)?.['relation'] as { columns: readonly { name: string; type: string }[] };
    expect(relation.columns.filter((column) => column.type.startsWith('oid:'))).toEqual([]);
    expect(relation.columns.find((column) => column.name === 'int4 all')?.type).toBe('_int4');
  });

  it('takes enums, domains, composites, own ranges and arrays of them, and names their types', async () => {
    const entries = await captured.entriesOf(
      `insert into public.own values (1, 'so''so', array['sad', null, 'happy "x"']::public.mood[], 'short', row(1, array['a,"b"', null, ''], 'sad'), array[row(null, null, null)::public.pair],
         '[1,2.5)', '{[1,2),[3,4]}', '{{{1,2},{3,4}}}', '{"NULL",null,"{}","\\"","\\\\"}')`,
    );
    const columns = ['id', 'mood', 'moods', 'short', 'pair', 'pairs', 'span', 'spans', 'cube', 'texts'];
    const { rows } = await captured.admin.query<Record<string, string>>(`select ${columns.map((column) => `format('%s', ${column}) as ${column}`).join(', ')} from public.own`);
    expect(changeOf(entries.find((entry) => entry.type === 'row.insert')).after).toEqual(rows[0]);
    const relation = entries.find((entry) => entry.type === 'relation')?.['relation'] as { columns: readonly { name: string; type: string }[] };
    // The server names a domain by its base type.
    expect(relation.columns.map((column) => column.type)).toEqual(
      ['int4', 'public.mood', 'public._mood', 'text', 'public.pair', 'public._pair', 'public.span', 'public.spans', '_int4', '_text'],
    );
  });

  it('is exact for every class of code points, one by one', async () => {
    const points = [...Array(0x250).keys(), 0x7ff, 0x800, 0xfff, 0x1000, 0xd7ff, 0xe000, 0xfdd0, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1fffe, 0xfffff, 0x10ffff].filter((point) => point > 0);
    const entries = await captured.entriesAfter(() =>
      captured.admin.query(`insert into public.own (id, texts) select n, array[t] from unnest($1::int[], $2::text[]) u(n, t)`, [points.map((_point, index) => 100 + index), points.map((point) => `<${String.fromCodePoint(point)}>`)]),
    );
    const { rows } = await captured.admin.query<{ texts: string }>(`select format('%s', texts) as texts from public.own where id >= 100 order by id`);
    expect(entries.filter((entry) => entry.type === 'row.insert').map((entry) => changeOf(entry).after?.['texts'])).toEqual(rows.map((row) => row.texts));
  });
});

describe('a database without an encoding', () => {
  let captured: CapturedDatabase;
  beforeAll(async () => {
    captured = await startCaptured({ schema: 'create table raw (id int primary key, "näme" text)', settings: auditSettings(['fence', 'raw']), createDatabase: `encoding 'SQL_ASCII' locale 'C' template template0` });
  });
  afterAll(async () => captured?.close());

  it('gives bytes that are no UTF-8 as base64, and loses none', async () => {
    const entries = await captured.entriesOf(
      `insert into raw values (1, convert_from('\\x61ff62', 'SQL_ASCII')), (2, 'ä'), (3, convert_from('\\xc0af', 'SQL_ASCII'))`,
      `update raw set "näme" = convert_from('\\xeda080', 'SQL_ASCII') where id = 1`,
    );
    const rows = entries.filter((entry) => entry.type.startsWith('row.')).map((entry) => (entry['change'] as { after: Record<string, unknown> }).after['näme']);
    expect(rows).toEqual([{ base64: Buffer.from('61ff62', 'hex').toString('base64') }, 'ä', { base64: 'wK8=' }, { base64: '7aCA' }]);
  });

  it('lets no statement fail for claims that are no UTF-8, and names the table and its columns', async () => {
    const entries = await captured.entriesOf(`do $$ begin perform set_config('request.jwt.claims', convert_from('\\xff61', 'SQL_ASCII'), false); end $$`, `insert into raw values (9, 'x')`, `select set_config('request.jwt.claims', '', false)`);
    const [row] = entries.filter((entry) => entry.type === 'row.insert');
    expect(row).toMatchObject({ change: { after: { id: '9', näme: 'x' } }, actor: { user: 'postgres' } });
  });
});

describe('a database in another encoding', () => {
  let captured: CapturedDatabase;
  beforeAll(async () => {
    captured = await startCaptured({ schema: 'create table raw (id int primary key, "näme" text)', settings: auditSettings(['fence', 'raw']), createDatabase: `encoding 'LATIN1' locale 'C' template template0` });
  });
  afterAll(async () => captured?.close());

  it('is read as UTF-8', async () => {
    const entries = await captured.entriesOf(`insert into raw values (1, 'é' || chr(255))`);
    expect(entries.filter((entry) => entry.type === 'row.insert').map((entry) => (entry['change'] as { after: unknown }).after)).toEqual([{ id: '1', näme: 'éÿ' }]);
  });
});
