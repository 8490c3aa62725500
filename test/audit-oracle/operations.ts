// What a session may do next: each operation adds statements to a script, and says what the log must hold for them.
import { nestedOperations } from './operations-nested.ts';
import { structureOperations } from './operations-structure.ts';
import { owner as cascade, logins, roles } from './schema.ts';
import { actorOf, type ExpectedChange, type Row, type Script } from './script.ts';
import { ids, lit, type Operation, values } from './sql.ts';

const applications = ['shop', 'batch job', "o'brien", ''];
const areas = ['eu', 'us', 'ap1', 'ap2'];

function cents(script: Script): string {
  return (script.random.int(0, 1_000_000) / 100).toFixed(2);
}

function insertAccounts(script: Script): void {
  const count = script.random.chance(0.05) ? 60 : script.random.int(1, 4);
  const rows = Array.from({ length: count }, () => ({ id: String(script.fresh()), ticket: String(script.fresh()), balance: cents(script), note: script.random.text(12) }));
  const made = rows.map((after) => script.change('account', { after }));
  const opened = rows.map(({ id, ticket }) => script.change('ledger', { after: { id: ticket, account: id, what: 'opened' } }));
  script.run(`insert into account (id, ticket, balance, note) values ${values(rows)}`, [...made, ...opened]);
}

function updateAccounts(script: Script): void {
  const chosen = script.random.some(script.rows('account'), 3);
  if (chosen.length === 0) return insertAccounts(script);
  const note = script.random.text(10);
  const pairs = chosen.map((row) => ({ id: row['id'] ?? '', ticket: String(script.fresh()) }));
  const touched = pairs.map(({ id, ticket }) => script.change('ledger', { after: { id: ticket, account: id, what: 'touched' } }, 'keeper'));
  const updated = chosen.map((before, index) => script.change('account', { before, after: { ...before, note, ticket: pairs[index]?.ticket ?? '' } }));
  script.run(`update account a set note = ${lit(note)}, ticket = v.ticket::bigint from (values ${values(pairs)}) v(id, ticket) where a.id = v.id::bigint`, [...touched, ...updated]);
}

function deleteRows(script: Script): void {
  const table = script.random.pick(['account', 'ledger', 'keyless', 'node', 'region', 'big']);
  const chosen = script.random.some(script.rows(table), 3);
  if (chosen.length === 0) return;
  const expected = chosen.map((before) => script.change(table === 'region' ? leafOf(script, before) : table, { before }));
  script.run(`delete from ${table} where id in (${ids(chosen)})`, expected);
}

function changeRole(script: Script): void {
  const role = script.random.pick([undefined, ...roles]);
  script.known.role = role;
  script.run(role === undefined ? 'set local role none' : `set local role ${role}`);
}

function changeClaims(script: Script): void {
  const claims = script.random.chance(0.2) ? undefined : JSON.stringify({ sub: `u${script.random.int(1, 99)}`, note: script.random.text(6), n: [script.random.int(0, 9), null] });
  script.known.claims = claims;
  script.run(`select set_config('request.jwt.claims', ${lit(claims ?? '')}, true)`);
}

function changeApplication(script: Script): void {
  const application = script.random.pick(applications);
  script.known.application = application;
  script.run(`set local application_name = ${lit(application)}`);
}

function families(script: Script): void {
  const parent = { id: String(script.fresh()), note: script.random.text(5) };
  const ticket = String(script.fresh());
  const made = [script.change('parent', { after: parent }), script.change('keyless', { after: { id: ticket, note: 'counted' } }, 'steward')];
  script.run(`select set_config('oracle.ticket', '${ticket}', true)`);
  script.run(`insert into parent values ${values([parent])}`, made);
  const children = Array.from({ length: script.random.int(1, 3) }, () => ({ id: String(script.fresh()), parent: parent.id, note: script.random.text(4) }));
  script.run(`insert into child values ${values(children)}`, children.map((after) => script.change('child', { after })));
  const grand = children.flatMap(({ id }) => (script.random.chance(0.6) ? [{ id: String(script.fresh()), child: id, note: null }] : []));
  if (grand.length > 0) script.run(`insert into grandchild values ${values(grand)}`, grand.map((after) => script.change('grandchild', { after })));
}

function breakFamilies(script: Script): void {
  const gone = script.random.some(script.rows('parent'), 2);
  if (gone.length === 0) return families(script);
  const expected: ExpectedChange[] = gone.map((before) => script.change('parent', { before }));
  const children = script.rows('child').filter((child) => gone.some(({ id }) => id === child['parent']));
  expected.push(...children.map((before) => script.change('child', { before }, cascade)));
  const orphans = script.rows('grandchild').filter((grand) => children.some(({ id }) => id === grand['child']));
  expected.push(...orphans.map((before) => script.change('grandchild', { before, after: { ...before, child: null } }, cascade)));
  script.run(`delete from parent where id in (${ids(gone)})`, expected);
}

function renameParent(script: Script): void {
  const [before] = script.random.some(script.rows('parent'), 1);
  if (before === undefined) return families(script);
  const after = { ...before, id: String(script.fresh()) };
  const expected = [script.change('parent', { before, after })];
  for (const child of script.rows('child').filter(({ parent }) => parent === before['id'])) {
    expected.push(script.change('child', { before: child, after: { ...child, parent: after.id } }, cascade));
  }
  script.run(`update parent set id = ${after.id} where id = ${before['id']}`, expected);
}

function leafOf(script: Script, { area }: Row): string {
  return script.known.areas.includes(area ?? '') ? `region_${area}` : `region_${areas.find((known) => known === area) ?? 'eu'}`;
}

function insertRegions(script: Script): void {
  const known = [...areas, ...script.known.areas];
  const rows = Array.from({ length: script.random.int(1, 4) }, () => ({ id: String(script.fresh()), area: script.random.pick(known), note: script.random.text(6) }));
  script.run(`insert into region values ${values(rows)}`, rows.map((after) => script.change(leafOf(script, after), { after })));
  const direct = { id: String(script.fresh()), area: script.random.pick(areas), note: 'direct' };
  if (script.random.chance(0.5)) script.run(`insert into ${leafOf(script, direct)} values ${values([direct])}`, [script.change(leafOf(script, direct), { after: direct })]);
}

/** A row that moves between partitions is a deletion and an insertion. */
function moveRegions(script: Script): void {
  const chosen = script.random.some(script.rows('region'), 2);
  if (chosen.length === 0) return insertRegions(script);
  const area = script.random.pick([...areas, ...script.known.areas]);
  const expected = chosen.flatMap((before) => {
    const after = { ...before, area };
    if (area === before['area']) return [script.change(leafOf(script, before), { before, after })];
    const deleted = script.change(leafOf(script, before), { before });
    return [deleted, script.change(leafOf(script, after), { after })];
  });
  script.run(`update region set area = ${lit(area)} where id in (${ids(chosen)})`, expected);
}

function bigRows(script: Script): void {
  const [before] = script.random.some(script.rows('big'), 1);
  const body = () => String.fromCharCode(script.random.int(33, 90)).repeat(script.random.int(2_000, script.random.chance(0.3) ? 120_000 : 9_000));
  if (before === undefined || script.random.chance(0.3)) {
    const after = { id: String(script.fresh()), body: body(), label: script.random.text(4) };
    return script.run(`insert into big values ${values([after])}`, [script.change('big', { after })]);
  }
  // An unchanged body is not in the WAL's new row; it is taken from the old one.
  const [column, value] = script.random.chance(0.6) ? ['label', script.random.text(9)] : ['body', body()];
  const after = { ...before, [column]: value };
  script.run(`update big set ${column} = ${lit(value)} where id = ${before['id']}`, [script.change('big', { before, after })]);
}

/** Rows that all sessions fight over: only the result tells what was changed, and their order is that of the commits. */
function hotRow(script: Script): void {
  const actor = actorOf(script.user, script.known);
  const told = (rows: readonly Row[]): readonly ExpectedChange[] =>
    rows.map((row) => ({ table: 'hot', operation: 'update', before: { ...row, n: String(Number(row['n']) - 1) }, after: row, actor }));
  script.step({ sql: `update hot set n = n + 1 where id = ${script.random.int(1, 4)} returning id, n`, told });
}

function copyIn(script: Script): void {
  const rows = Array.from({ length: script.random.int(1, 30) }, () => ({ id: String(script.fresh()), note: script.random.chance(0.1) ? null : script.random.text(10) }));
  const escape = (text: string) => text.replace(/[\\\n\r\t]/g, (character) => ({ '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' })[character] ?? character);
  const copy = rows.map(({ id, note }) => `${id}\t${note === null ? '\\N' : escape(note)}\n`).join('');
  script.step({ sql: 'copy keyless (id, note) from stdin', copy }, rows.map((after) => script.change('keyless', { after })));
}

function savepoint(script: Script): void {
  if (script.savepoints() < 3) script.savepoint();
}

function endSavepoint(script: Script): void {
  if (script.savepoints() > 0) script.endSavepoint(script.random.chance(0.5) ? 'release' : 'rollback');
}

/** A statement that fails half way leaves nothing. */
function failing(script: Script): void {
  const [row] = script.rows('account');
  if (row === undefined) return;
  script.savepoint();
  script.step({ sql: `insert into account values (${script.fresh()}, ${script.fresh()}, 1, 'never'), (${row['id']}, 0, 0, 'twice')`, fails: true });
  script.endSavepoint('rollback');
}

const weighted: readonly (readonly [number, Operation])[] = [
  [4, insertAccounts],
  [4, updateAccounts],
  [3, deleteRows],
  [3, changeRole],
  [3, changeClaims],
  [1, changeApplication],
  [2, families],
  [2, breakFamilies],
  [1, renameParent],
  [2, insertRegions],
  [2, moveRegions],
  [2, bigRows],
  [2, hotRow],
  [2, copyIn],
  [3, savepoint],
  [3, endSavepoint],
  [1, failing],
  ...nestedOperations,
  ...structureOperations,
];
const drawn = weighted.flatMap(([weight, operation]) => Array.from({ length: weight }, () => operation));

/** Adds one operation. */
export function operate(script: Script): void {
  script.random.pick(drawn)(script);
}

/** Which login a session has. */
export function loginOf(worker: number): string {
  return logins[worker % logins.length] ?? 'app';
}
