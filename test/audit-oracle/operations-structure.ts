// Operations that change the tables themselves, in the middle of transactions that write them: columns, partitions, TRUNCATE.
import { owner, ownTables } from './schema.ts';
import { actorOf, type ExpectedChange, type Row, type Script } from './script.ts';
import { lit, type Operation, values } from './sql.ts';

const maxColumns = 5;
const maxAreas = 6;

/** Done as the owner; back to the session's own role after it. */
function asOwner(script: Script, sql: string, expected: readonly ExpectedChange[] = []): void {
  script.run(`set local role ${owner}`);
  script.run(sql, expected);
  script.run(script.known.role === undefined ? 'set local role none' : `set local role ${script.known.role}`);
}

function wideRows(script: Script): void {
  const { wide } = ownTables(script.worker);
  const columns = script.known.wideColumns;
  const rows = Array.from({ length: script.random.int(1, 3) }, (): Row => {
    const row: Record<string, string | null> = { id: String(script.fresh()), note: script.random.text(5) };
    for (const { name } of columns) row[name] = script.random.text(5);
    return row;
  });
  script.run(`insert into ${wide} (id, note${columns.map(({ name }) => `, ${name}`).join('')}) values ${values(rows)}`, rows.map((after) => script.change(wide, { after })));
  const [before] = script.random.some(script.rows(wide), 1);
  if (before === undefined) return;
  const after = { ...before, note: script.random.text(7) };
  script.run(`update ${wide} set note = ${lit(after.note)} where id = ${before['id']}`, [script.change(wide, { before, after })]);
}

/** Rows that are there already have the default, though nothing of it is stored with them. */
function addColumn(script: Script): void {
  if (script.known.wideColumns.length >= maxColumns) return dropColumn(script);
  const name = `c${script.fresh()}`;
  const filler = script.random.pick([null, 'filled']);
  script.known.wideColumns = [...script.known.wideColumns, { name, filler }];
  remodel(script, (row) => ({ ...row, [name]: filler }));
  asOwner(script, `alter table ${ownTables(script.worker).wide} add column ${name} text${filler === null ? '' : ` default ${lit(filler)}`}`);
  wideRows(script);
}

function dropColumn(script: Script): void {
  const [column] = script.random.some(script.known.wideColumns, 1);
  if (column === undefined) return wideRows(script);
  script.known.wideColumns = script.known.wideColumns.filter(({ name }) => name !== column.name);
  remodel(script, ({ [column.name]: _gone, ...row }) => row);
  asOwner(script, `alter table ${ownTables(script.worker).wide} drop column ${column.name}`);
  wideRows(script);
}

function renameColumn(script: Script): void {
  const [column] = script.random.some(script.known.wideColumns, 1);
  if (column === undefined) return addColumn(script);
  const name = `r${script.fresh()}`;
  script.known.wideColumns = script.known.wideColumns.map((other) => (other.name === column.name ? { ...other, name } : other));
  remodel(script, ({ [column.name]: value, ...row }) => ({ ...row, [name]: value ?? null }));
  asOwner(script, `alter table ${ownTables(script.worker).wide} rename column ${column.name} to ${name}`);
  wideRows(script);
}

/** A new type rewrites the table, which is no change of its rows. */
function retypeColumn(script: Script): void {
  const [column] = script.random.some(script.known.wideColumns, 1);
  if (column === undefined) return addColumn(script);
  asOwner(script, `alter table ${ownTables(script.worker).wide} alter column ${column.name} type varchar(${script.random.int(200, 400)})`);
  wideRows(script);
}

function remodel(script: Script, next: (row: Row) => Row): void {
  const { wide } = ownTables(script.worker);
  script.known.tables.set(wide, new Map(script.rows(wide).map((row) => [String(row['id']), next(row)])));
}

/** A partition is written in the transaction that makes it: through the root, and itself. */
function newPartition(script: Script): void {
  if (script.known.areas.length >= maxAreas) return;
  const area = `w${script.fresh()}`;
  script.known.areas = [...script.known.areas, area];
  const made = `create table region_${area} partition of region for values in (${lit(area)})`;
  asOwner(script, script.random.chance(0.5) ? made : `create table region_${area} (like region including all); alter table region attach partition region_${area} for values in (${lit(area)})`);
  const through = { id: String(script.fresh()), area, note: 'root' };
  script.run(`insert into region values ${values([through])}`, [script.change(`region_${area}`, { after: through })]);
  const direct = { id: String(script.fresh()), area, note: 'leaf' };
  script.run(`insert into region_${area} values ${values([direct])}`, [{ ...script.change(`region_${area}`, { after: direct }), unattributedToo: true }]);
}

function truncate(script: Script): void {
  const { scratch, detail } = ownTables(script.worker);
  const row = { id: String(script.fresh()), note: script.random.text(6) };
  script.run(`insert into ${scratch} values ${values([row])}`, [script.change(scratch, { after: row })]);
  const below = { id: String(script.fresh()), scratch: row.id, note: null };
  script.run(`insert into ${detail} values ${values([below])}`, [script.change(detail, { after: below })]);
  if (script.random.chance(0.5)) return;
  for (const table of [scratch, detail]) script.known.tables.delete(table);
  // Only the owner of the sequence may restart it.
  const restart = script.random.chance(0.5);
  const actor = actorOf(script.user, restart ? { ...script.known, role: owner } : script.known);
  const expected = [scratch, detail].map((table): ExpectedChange => ({ table, operation: 'truncate', actor }));
  if (restart) asOwner(script, `truncate ${scratch} restart identity cascade`, expected);
  else script.run(`truncate ${scratch} cascade`, expected);
}

export const structureOperations: readonly (readonly [number, Operation])[] = [
  [2, wideRows],
  [1, addColumn],
  [1, dropColumn],
  [1, renameColumn],
  [1, retypeColumn],
  [1, newPartition],
  [2, truncate],
];
