// Decisions that need no database: names, sides of rules, parsing, marks.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import { desiredFrom, noNeighbours } from '../../src/policy/desired.ts';
import { formatMarker, parseMarker } from '../../src/policy/marker.ts';
import { closedPolicyName, policyName } from '../../src/policy/policy-name.ts';
import { parsePredicate } from '../../src/policy/parse-predicate.ts';

const key = { namespace: 'shop', name: 'orders' };

describe('names of policies', () => {
  it('say namespace, name, rule and command', () => {
    expect(policyName(key, 'tenant')).toBe('rowseal_shop_orders_tenant');
    expect(policyName(key, 'tenant', 'Select')).toBe('rowseal_shop_orders_tenant_select');
  });

  it('fit into 63 bytes and never collide', () => {
    const part = fc.stringMatching(/^[a-z0-9]([-a-z0-9.]{0,60}[a-z0-9])?$/);
    const names = new Map<string, string>();
    fc.assert(
      fc.property(part, part, part, fc.constantFrom(undefined, 'Select', 'Insert'), (namespace, name, rule, command) => {
        const made = policyName({ namespace, name }, rule, command);
        expect(Buffer.byteLength(made)).toBeLessThanOrEqual(63);
        const identity = JSON.stringify([namespace, name, rule, command]);
        expect(names.get(made) ?? identity).toBe(identity);
        names.set(made, identity);
        expect(closedPolicyName(`${namespace}/${name}`)).not.toBe(made);
      }),
    );
  });
});

describe('rules', () => {
  const rule = { name: 'r', roles: ['b', 'a', 'b'], using: { all: [{ column: 'id', op: 'Eq', value: '1' }] }, check: { all: [{ column: 'id', op: 'Eq', value: '2' }] } } as const;
  const of = (commands: readonly string[], extra: object = {}) =>
    desiredFrom(key, { databaseRef: { name: 'd' }, target: { schema: 's', tables: ['t'] }, rules: [{ ...rule, ...extra, commands }] } as unknown as RowPolicySpec, noNeighbours).tables[0];

  it('become one policy a command, each with the sides it can have', () => {
    const sides = of(['Select', 'Insert', 'Update', 'Delete'])?.policies.map(({ command, using, check }) => [command, using !== undefined, check !== undefined]);
    expect(sides).toEqual([['Select', true, false], ['Insert', false, true], ['Update', true, true], ['Delete', true, false]]);
  });

  it('let an Insert without check be checked by using, and leave the rest to PostgreSQL', () => {
    const sides = of(['Insert', 'Update'], { check: undefined })?.policies.map(({ using, check }) => [using !== undefined, check !== undefined]);
    expect(sides).toEqual([[false, true], [true, false]]);
  });

  it('name each role once, and PUBLIC alone', () => {
    expect(of(['All'])?.policies[0]?.roles).toEqual(['a', 'b']);
    expect(of(['All'], { roles: ['a', 'PUBLIC'] })?.policies[0]?.roles).toEqual(['PUBLIC']);
  });

  it('are Forced when anybody says so', () => {
    const spec = { databaseRef: { name: 'd' }, target: { schema: 's', tables: ['t'] }, rowSecurity: 'Enabled', rules: [{ ...rule, commands: ['All'] }] } as unknown as RowPolicySpec;
    expect(desiredFrom(key, spec, noNeighbours).tables[0]?.rowSecurity).toBe('Enabled');
    expect(desiredFrom(key, spec, { ...noNeighbours, forced: [{ schema: 's', table: 't' }] }).tables[0]?.rowSecurity).toBe('Forced');
  });
});

describe('terms', () => {
  it('put the column left, and take a claim as the list of In', () => {
    expect(parsePredicate({ all: [{ column: 'a', op: 'In', claim: ['x', 'y'] }] }, 's')).toMatchObject({ alternatives: [[{ kind: 'in', left: { kind: 'column', name: 'a' }, items: { kind: 'claim', path: ['x', 'y'] } }]] });
    expect(parsePredicate({ all: [{ claim: ['x'], currentRole: true, op: 'In' }] }, 's')).toMatchObject({ alternatives: [[{ kind: 'in', left: { kind: 'currentRole' }, items: { kind: 'claim', path: ['x'] } }]] });
    expect(parsePredicate({ all: [{ claim: ['x'], op: 'Eq', value: 'v' }] }, 's')).toMatchObject({ alternatives: [[{ left: { kind: 'claim' }, right: { kind: 'literal', text: 'v' } }]] });
  });
});

describe('marks', () => {
  const marker = { owner: 'shop/orders', rule: 'tenant', definition: 'a'.repeat(64), deparsed: 'b'.repeat(64) };
  it('are read back, also without a rule', () => {
    expect(parseMarker(formatMarker(marker))).toEqual(marker);
    expect(parseMarker(formatMarker({ ...marker, rule: '' }))).toEqual({ ...marker, rule: '' });
  });
  it.each([undefined, '', 'rowseal', `${formatMarker(marker)} `, `x ${formatMarker(marker)}`])('are nobody’s when they are not exactly ours: %s', (comment) => {
    expect(parseMarker(comment)).toBeUndefined();
  });
});
