// What a statement says of itself is read back exactly, or not at all: no name and no claims can be taken for another part.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStatementReader } from '../../src/audit/statement-message.ts';

const separator = '\x1f';
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\0'));
const plainName = name.filter((text) => !text.includes(separator));
const claimsText = fc.option(fc.string({ unit: fc.constantFrom('a', '"', '{', separator, 'é', '😀'), maxLength: 20 }), { nil: undefined });
const statement = fc.record({
  mark: fc.constantFrom(undefined, 'v', 'r'),
  claims: claimsText,
  operation: fc.constantFrom('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'),
  client: fc.constantFrom(undefined, '10.0.0.7', '::1'),
  placed: fc.constantFrom('0', '1', '2'),
  relation: fc.nat(),
  pid: fc.nat(),
  application: fc.string({ maxLength: 8 }).filter((text) => !text.includes('\0')),
});

type Statement = typeof statement extends fc.Arbitrary<infer Value> ? Value : never;

/** As concat_ws joins them. */
function written({ mark, claims, operation, client, placed, relation, pid, application }: Statement, names: readonly string[]): Buffer {
  const length = claims === undefined ? undefined : Buffer.byteLength(claims);
  return Buffer.from([mark, length, operation, client, placed, relation, pid, application, ...names, claims].filter((part) => part !== undefined).join(separator));
}

describe('a statement message', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(statement, plainName, plainName, plainName, (facts, user, role, caller) => {
        const read = createStatementReader()(written(facts, [user, role, caller]));
        expect(read).toMatchObject({ kind: 'open', relation: facts.relation, operation: facts.operation, nested: facts.placed !== '0' });
        const actor = JSON.parse(read?.kind === 'open' ? read.actor : '{}') as Record<string, unknown>;
        expect(actor).toMatchObject({ user, role: role === 'none' ? user : role, pid: facts.pid });
        expect(actor['effective']).toBe(facts.placed === '2' ? undefined : caller);
        expect(actor['client']).toBe(facts.client);
      }),
    );
  });

  it('is refused when a name holds what separates the parts, whatever it would make of the others', () => {
    fc.assert(
      fc.property(statement, fc.tuple(name, name, name), fc.nat(2), (facts, names, which) => {
        const crafted = names.map((text, index) => (index === which ? `${text}${separator}postgres` : text));
        expect(createStatementReader()(written(facts, crafted))).toBeUndefined();
      }),
    );
  });

  it('never fails on bytes of any kind', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom('', 'b\x1f', 'c\x1f', 'v\x1f9\x1f', '5\x1fINSERT\x1f'), (bytes, lead) => {
        createStatementReader()(Buffer.concat([Buffer.from(lead), bytes]));
      }),
    );
  });
});
