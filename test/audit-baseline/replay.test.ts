// Replaying a log gives the rows of any history: changes, truncations, moved keys, histories that were left, gaps, and baselines that stand behind later changes.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonical } from '../../src/audit/actor.ts';
import { replayLog, type ReplayOutcome } from '../../src/audit/replay-log.ts';
import { formatLsn, type Lsn, lsn } from '../../src/model/branded.ts';
import type { LogWriter } from '../../src/ports/log-writer.ts';

const oid = 16_384;
const relation = `sha256:${'ab'.repeat(32)}`;
const { signal } = new AbortController();

type Rows = ReadonlyMap<string, string>;
interface Change {
  readonly kind: 'put' | 'delete' | 'move';
  readonly key: number;
  readonly to: number;
  readonly value: number;
}
type Step = Change | { readonly kind: 'truncate' | 'baseline' | 'gap' | 'rewind' };

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('put' as const, 'delete' as const, 'move' as const), key: fc.nat(6), to: fc.nat(6), value: fc.nat(99) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('truncate' as const, 'baseline' as const, 'gap' as const, 'rewind' as const) }) },
);

/** A server, what it holds, and what the log says of it. */
class History {
  readonly entries: object[] = [{ ...entry('relation', 1, 1), object: { schema: 'public', table: 't', relation }, relation: { oid, key: ['id'] } }];
  base: { readonly incarnation: number; readonly lsn: Lsn } | undefined;
  incarnation = 1;
  at = 10;
  rows: Rows = new Map();
  /** States by their commit, since the last point that another history could part from. */
  #past: { readonly at: number; readonly rows: Rows }[] = [];
  /** Rows of a baseline that are sealed later, among the changes. */
  readonly #late: object[] = [];

  apply(one: Step, interleave: number): void {
    this.#past.push({ at: this.at, rows: this.rows });
    this.at += 10;
    if (one.kind === 'baseline') this.#baseline();
    else if (one.kind === 'gap') this.#gap();
    else if (one.kind === 'rewind') this.#rewind(interleave);
    else if (one.kind === 'truncate') {
      this.#say('row.truncate', undefined, {});
      this.rows = new Map();
    } else if ('key' in one) this.#change(one);
    for (let count = interleave % 3; count > 0 && this.#late.length > 0; count--) this.entries.push(this.#late.shift() ?? {});
  }

  finish(): void {
    this.entries.push(...this.#late.splice(0));
  }

  #change({ kind, key, to, value }: Change): void {
    const id = String(key);
    const before = this.rows.get(id);
    const rows = new Map(this.rows);
    const row = (k: string, v: string) => ({ id: k, v });
    if (kind === 'put') {
      rows.set(id, String(value));
      this.#say(before === undefined ? 'row.insert' : 'row.update', id, { ...(before === undefined ? {} : { before: row(id, before) }), after: row(id, String(value)) });
    } else if (before === undefined || (kind === 'move' && rows.has(String(to)))) return;
    else if (kind === 'delete') {
      rows.delete(id);
      this.#say('row.delete', id, { before: row(id, before) });
    } else {
      rows.delete(id);
      rows.set(String(to), before);
      this.#say('row.update', String(to), { before: { id }, after: { id: String(to) }, unsent: ['v'] });
    }
    this.rows = rows;
  }

  #say(type: string, id: string | undefined, change: object): void {
    this.entries.push({ ...entry(type, this.incarnation, this.at), object: { schema: 'public', table: 't', relation, ...(id === undefined ? {} : { key: { id } }) }, change });
  }

  /** What is sealed of a snapshot stands anywhere behind it, and says where it belongs. */
  #baseline(): void {
    this.#late.splice(0);
    this.base = { incarnation: this.incarnation, lsn: lsn(BigInt(this.at)) };
    this.#late.push(...[...this.rows].map(([id, v]) => this.#snapshotEntry('baseline', id, { after: { id, v } })));
  }

  /** Changes that nobody sealed, and then what a comparison finds of them. */
  #gap(): void {
    this.finish();
    const before = this.rows;
    this.incarnation += 1;
    this.rows = new Map([...before].filter(([id]) => Number(id) % 2 === 0).map(([id, v]) => [id, Number(id) % 4 === 0 ? `${v}!` : v])).set('5', 'found');
    for (const id of new Set([...before.keys(), ...this.rows.keys()])) {
      const [a, b] = [before.get(id), this.rows.get(id)];
      if (a === b) continue;
      this.#late.push(this.#snapshotEntry('gap.reconciled', id, { ...(a === undefined ? {} : { before: { id, v: a } }), ...(b === undefined ? {} : { after: { id, v: b } }) }));
    }
    this.#past = [];
  }

  /** The server goes back, and on in another way: what was sealed after that point never happened on it. */
  #rewind(choice: number): void {
    const after = this.#past.filter(({ at }) => this.base === undefined || this.base.incarnation < this.incarnation || BigInt(at) > this.base.lsn);
    const to = after[choice % Math.max(after.length, 1)];
    if (to === undefined || this.#late.length > 0) return;
    this.incarnation += 1;
    // The first commit that is not part of the history that goes on.
    const survived = formatLsn(lsn(BigInt(to.at + 1)));
    this.entries.push({ ...entry('gap.rewound', this.incarnation, to.at + 1), gap: { survived } });
    this.rows = to.rows;
    this.at = to.at + 5;
    this.#past = [];
  }

  #snapshotEntry(type: string, id: string, change: object): object {
    const { source, ...rest } = entry(type, this.incarnation, this.at);
    const { commitLsn, ...place } = source;
    return { ...rest, source: { ...place, lsn: commitLsn }, object: { schema: 'public', table: 't', relation, key: { id } }, change };
  }
}

function entry(type: string, incarnation: number, at: number) {
  const source = { system: '7', database: 'shop', incarnation, timeline: 1, commitLsn: formatLsn(lsn(BigInt(at))), lsn: formatLsn(lsn(BigInt(at))), seq: 1 };
  return { v: 1, type, time: '2026-11-25T00:00:00.000000Z', source };
}

function writerOf(entries: readonly object[]): LogWriter {
  async function* sealed(fromLeaf: number) {
    // In canonical JSON the type stands near the end.
    for (const [leafIndex, one] of entries.entries()) if (leafIndex >= fromLeaf) yield { leafIndex, entry: Buffer.from(canonical(one)) };
  }
  return { sealed } as unknown as LogWriter;
}

async function replayed(history: History, count: number): Promise<Map<string, string> | ReplayOutcome> {
  const found = new Map<string, string>();
  for (let index = 0; index < count; index++) {
    const outcome = await replayLog(
      {
        writer: writerOf(history.entries),
        system: '7',
        database: 'shop',
        tables: [{ oid, base: history.base ?? { incarnation: 1, lsn: lsn(0n) }, key: ['id'], treated: '' }],
        upTo: { incarnation: history.incarnation, lsn: lsn(BigInt(history.at + 1)) },
        share: { index, count },
        maxBytes: 1024 * 1024,
      },
      signal,
    );
    if (outcome.kind !== 'rows') return outcome;
    for (const [, row] of outcome.rows.get(oid)?.rest() ?? []) {
      const { id, v } = JSON.parse(row) as { id: string; v: string };
      found.set(id, v);
    }
  }
  return found;
}

const sorted = (rows: Rows): [string, string][] => [...rows].sort(([a], [b]) => (a < b ? -1 : 1));

describe('replaying a log', () => {
  it('gives the rows of any history, read whole or in shares', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, fc.nat(50)), { maxLength: 40 }), async (steps) => {
        const history = new History();
        for (const [one, interleave] of steps) history.apply(one, interleave);
        history.finish();
        for (const count of [1, 4]) {
          const found = await replayed(history, count);
          // A row that moved from another share lacks what was not sent with it; all else is there.
          if (!(found instanceof Map)) throw new Error(`no rows: ${JSON.stringify(found)}`);
          if (count === 1) expect(sorted(found)).toEqual(sorted(history.rows));
          else expect([...found.keys()].sort()).toEqual([...history.rows.keys()].sort());
        }
      }),
      { numRuns: Number(process.env['ROWSEAL_REPLAY_RUNS'] ?? 500) },
    );
  });

  const simple = (...steps: Step[]): History => {
    const history = new History();
    for (const one of steps) history.apply(one, 0);
    history.finish();
    return history;
  };
  const put = (key: number): Step => ({ kind: 'put', key, to: 0, value: 1 });

  it('does not guess where the server went back to before the baseline, or nobody knows to where', async () => {
    for (const survived of [null, formatLsn(lsn(5n))]) {
      const history = simple(put(1), { kind: 'baseline' }, put(2));
      history.incarnation = 2;
      history.entries.push({ ...entry('gap.rewound', 2, 5), gap: { survived } });
      expect(await replayed(history, 1)).toMatchObject({ kind: 'unknown', why: 'the server went back to before the baseline, or it is not known to where' });
    }
  });

  it('does not guess where only some operations were recorded, or the key is another one', async () => {
    const partly = simple({ kind: 'baseline' }, put(1));
    partly.entries.push({ ...entry('audit.config', 1, 25), configuration: { tables: [{ oid, operations: ['Insert'] }] } });
    expect(await replayed(partly, 1)).toMatchObject({ kind: 'unknown', why: 'not all operations were recorded since its baseline' });
    const treated = simple({ kind: 'baseline' }, put(1));
    treated.entries.push({ ...entry('audit.config', 1, 25), configuration: { tables: [{ oid, operations: ['Insert', 'Update', 'Delete', 'Truncate'], columns: { treated: [{ attnum: 2, name: 'v', mode: 'hash' }] } }] } });
    expect(await replayed(treated, 1)).toMatchObject({ kind: 'unknown', why: 'columns were omitted, hashed or redacted in another way since its baseline' });
    const other = simple({ kind: 'baseline' }, put(1));
    other.entries.push({ ...entry('relation', 1, 25), object: { schema: 'public', table: 't', relation: `sha256:${'cd'.repeat(32)}` }, relation: { oid, key: ['id', 'part'] } });
    expect(await replayed(other, 1)).toMatchObject({ kind: 'unknown', why: 'the key of the table changed' });
  });

  it('says when the rows do not fit', async () => {
    const history = simple({ kind: 'baseline' }, put(1), put(2), put(3));
    const request = { writer: writerOf(history.entries), system: '7', database: 'shop', tables: [{ oid, base: { incarnation: 1, lsn: lsn(0n) }, key: ['id'], treated: '' }], upTo: { incarnation: 1, lsn: lsn(1000n) } };
    expect(await replayLog({ ...request, share: { index: 0, count: 1 }, maxBytes: 100 }, signal)).toEqual({ kind: 'tooLarge' });
  });
});
