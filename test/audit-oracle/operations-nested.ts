// Operations whose rows are written by several users in one statement: functions in expressions, triggers, recursion, common table expressions.
import { roles } from './schema.ts';
import type { ExpectedChange, Script } from './script.ts';
import { ids, lit, type Operation, values } from './sql.ts';

/** Rows of the caller, made from a function that changes accounts as its owner, whose trigger writes as a third. */
function bumpInside(script: Script): void {
  const chosen = script.random.some(script.rows('account'), 3);
  if (chosen.length === 0) return;
  const calls = chosen.map((account) => ({ id: String(script.fresh()), account: account['id'] ?? '', amount: String(script.random.int(-50, 50)), ticket: String(script.fresh()) }));
  const expected: ExpectedChange[] = [];
  for (const [index, before] of chosen.entries()) {
    const call = calls[index];
    if (call === undefined) continue;
    const balance = (Number(before['balance']) + Number(call.amount)).toFixed(2);
    expected.push(script.change('ledger', { after: { id: call.ticket, account: call.account, what: 'touched' } }, 'keeper'));
    expected.push(script.change('account', { before, after: { ...before, balance, ticket: call.ticket } }, 'steward'));
    expected.push(script.change('keyless', { after: { id: call.id, note: balance } }));
  }
  const from = `(values ${values(calls)}) v(id, account, amount, ticket)`;
  script.run(`insert into keyless select v.id::bigint, bump(v.account::bigint, v.amount::numeric, v.ticket::bigint)::text from ${from}`, expected);
}

/** Of a block that failed only what its handler did is left. */
function attempt(script: Script): void {
  const [account] = script.random.some(script.rows('account'), 1);
  if (account === undefined) return;
  const ticket = String(script.fresh());
  const { id } = account;
  script.run(`select attempt(${id}, ${ticket})`, [script.change('ledger', { after: { id: ticket, account: id ?? '', what: 'survived' } })]);
}

/** The function takes another role and keeps it: what comes after it in the transaction has that role, too. */
function asOther(script: Script): void {
  const role = script.random.pick(roles);
  const after = { id: String(script.fresh()), note: script.random.text(5) };
  script.known.role = role;
  script.run(`select as_other(${lit(role)}, ${after.id}, ${lit(after.note)})`, [script.change('keyless', { after })]);
}

/** A trigger on the same table: the innermost rows first, all but the caller's own by the trigger's owner. */
function spreadNodes(script: Script): void {
  const expected: ExpectedChange[] = [];
  const rows = Array.from({ length: script.random.int(1, 3) }, () => {
    const depth = script.random.int(0, 3);
    const id = script.fresh();
    for (let below = depth; below > 0; below--) script.fresh();
    for (let level = depth; level >= 0; level--) {
      const after = { id: String(id + level), depth: String(depth - level) };
      expected.push(script.change('node', { after }, level === 0 ? undefined : 'keeper'));
    }
    return { id: String(id), depth: String(depth) };
  });
  script.run(`insert into node values ${values(rows)}`, expected);
}

function sqlFunction(script: Script): void {
  const id = String(script.fresh());
  const account = script.rows('account')[0]?.['id'] ?? '1';
  script.run(`select log_sql(${id}, ${account})`, [script.change('ledger', { after: { id, account, what: 'sql' } }, 'steward')]);
}

function block(script: Script): void {
  const stock = { id: String(script.fresh()), quantity: '5', note: 'block' };
  const after = { ...stock, quantity: '6' };
  const expected = [script.change('stock', { after: stock }), script.change('stock', { before: stock, after })];
  script.run(`do $block$ begin insert into stock values (${stock.id}, 5, 'block'); update stock set quantity = quantity + 1 where id = ${stock.id}; end $block$`, expected);
}

function onConflict(script: Script): void {
  const there = script.random.some(script.rows('stock'), 2);
  const rows = [...there.map(({ id }) => ({ id: id ?? '', quantity: '3', note: 'again' })), { id: String(script.fresh()), quantity: '1', note: script.random.text(5) }];
  const made = rows.slice(there.length).map((after) => script.change('stock', { after }));
  if (script.random.chance(0.4)) return script.run(`insert into stock values ${values(rows)} on conflict do nothing`, made);
  const added = there.map((before) => script.change('stock', { before, after: { ...before, quantity: String(Number(before['quantity']) + 3) } }));
  script.run(`insert into stock values ${values(rows)} on conflict (id) do update set quantity = stock.quantity + excluded.quantity`, [...added, ...made]);
}

function merge(script: Script): void {
  const [updated, deleted] = script.random.some(script.rows('stock'), 2);
  const made = { id: String(script.fresh()), quantity: '7', note: 'merged' };
  const expected = [script.change('stock', { after: made })];
  if (updated !== undefined) expected.push(script.change('stock', { before: updated, after: { ...updated, note: 'm' } }));
  if (deleted !== undefined) expected.push(script.change('stock', { before: deleted }));
  const source = [made.id, updated?.['id'], deleted?.['id']].flatMap((id, kind) => (id === undefined ? [] : [`(${id}::bigint, ${kind})`]));
  script.run(
    `merge into stock s using (values ${source.join(', ')}) v(id, kind) on s.id = v.id when matched and v.kind = 2 then delete
       when matched then update set note = 'm' when not matched then insert values (v.id, 7, 'merged')`,
    expected,
  );
}

function commonTable(script: Script): void {
  const moved = script.random.some(script.rows('stock'), 2);
  const after = { id: String(script.fresh()), quantity: '1', note: 'cte' };
  const expected = [script.change('stock', { after }), ...moved.map((before) => script.change('stock', { before }))];
  expected.push(...moved.map(({ id, note }) => script.change('keyless', { after: { id: id ?? '', note: note ?? null } })));
  const which = moved.length === 0 ? 'false' : `id in (${ids(moved)})`;
  script.run(
    `with gone as (delete from stock where ${which} returning id, note), made as (insert into stock values ${values([after])})
       insert into keyless select id, note from gone`,
    expected,
  );
}

function cursor(script: Script): void {
  const [before] = script.random.some(script.rows('stock'), 1);
  if (before === undefined) return block(script);
  const after = { ...before, note: script.random.text(8) };
  script.run(`declare c cursor for select * from stock where id = ${before['id']} for update`);
  script.run('fetch c');
  script.run(`update stock set note = ${lit(after.note)} where current of c`, [script.change('stock', { before, after })]);
  script.run('close c');
}

export const nestedOperations: readonly (readonly [number, Operation])[] = [
  [3, bumpInside],
  [1, attempt],
  [2, asOther],
  [2, spreadNodes],
  [1, sqlFunction],
  [1, block],
  [2, onConflict],
  [2, merge],
  [2, commonTable],
  [2, cursor],
];
