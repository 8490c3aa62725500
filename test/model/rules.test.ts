// Every rule of the schemas, put to both judges: the real API server and the standalone validator say the same sentence.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RowsealError } from '../../src/model/errors.ts';
import { apiVersion, kindDefinitions, kindNames, type KindName } from '../../src/model/kinds.ts';
import { findProblems, parseResource } from '../../src/model/validate.ts';
import { type ControlPlane, startControlPlane } from '../parts/control-plane.ts';
import { badCases, goodSpecs, s3Spec, signedSpec } from './objects.ts';

let cluster: ControlPlane;

beforeAll(async () => {
  cluster = await startControlPlane();
  await cluster.installCrds();
});

afterAll(() => cluster?.stop());

function manifest(kind: KindName, name: string, spec: unknown): string {
  return JSON.stringify({ apiVersion, kind, metadata: { name, namespace: 'default' }, spec });
}

/** The engine has one allowed value, so its closed set speaks before its rule can. */
const spokenFor = (message: string) => (message === 'engine is immutable' ? 'PostgreSQL' : message);

describe('good objects', () => {
  test.each([...Object.entries(goodSpecs), ['AuditLog', s3Spec] as const, ['DatabaseConnection', signedSpec] as const])('%s is accepted by both', async (kind, spec) => {
    const known = kindNames.find((name) => name === kind);
    expect(known).toBeDefined();
    if (known === undefined) return;
    expect(findProblems(known, spec)).toEqual([]);
    const answer = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], manifest(known, 'good', spec));
    expect(answer.stderr).toBe('');
  });
});

describe('bad objects', () => {
  test.each(badCases.map((bad, index) => ({ ...bad, index })))('$kind #$index: $message', async ({ kind, message, spec, before, index }) => {
    const name = `bad-${index}`;
    expect(findProblems(kind, spec, before).map((problem) => problem.message).join('\n')).toContain(spokenFor(message));
    if (before !== undefined) expect((await cluster.kubectl(['create', '-f', '-'], manifest(kind, name, before))).stderr).toBe('');
    const answer = await cluster.kubectl([before === undefined ? 'create' : 'replace', '-f', '-'], manifest(kind, name, spec));
    expect(answer.status).not.toBe(0);
    expect(answer.stderr).toContain(spokenFor(message));
  });

  test('every rule of every schema has a bad object here, and a twin of exactly one sort', () => {
    const covered = new Set(badCases.map((bad) => bad.message));
    for (const definition of Object.values(kindDefinitions)) {
      for (const rule of rulesIn(definition.spec)) {
        expect(covered).toContain(rule.message);
        expect(typeof rule.holds === 'function', rule.message).toBe(typeof rule.keeps !== 'function');
        expect(rule.rule.includes('oldSelf'), rule.message).toBe(typeof rule.keeps === 'function');
      }
    }
  });

  test('what PostgreSQL lets a policy be can be adopted by name, and a table closed without rules', async () => {
    const adopted = ['All', 'Select', 'Update', 'Delete', 'Insert'].map((command) => ({ name: command.toLowerCase(), policyName: command, roles: ['PUBLIC'], commands: [command] }));
    const onlyCheck = { name: 'check', policyName: 'only check', roles: ['app'], commands: ['All'], check: { sql: 'true' }, verbatim: {} };
    for (const rules of [[], [...adopted, onlyCheck]]) {
      const spec = { ...goodSpecs.RowPolicy, target: { schema: 'public', tables: ['orders'], children: 'Leave' }, rules };
      expect(findProblems('RowPolicy', spec)).toEqual([]);
      expect(await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], manifest('RowPolicy', 'good', spec))).toMatchObject({ status: 0 });
    }
  });

  test('shape faults are refused by both', async () => {
    const faults: readonly { spec: unknown; path: string }[] = [
      { spec: { ...goodSpecs.RowPolicy, rules: Array.from({ length: 33 }, (_, index) => ({ ...goodRule, name: `r${index}` })) }, path: 'spec.rules' },
      { spec: { ...goodSpecs.RowPolicy, mode: 'enforce' }, path: 'spec.mode' },
      { spec: { ...goodSpecs.RowPolicy, target: { schema: 'public', tables: ['x'.repeat(64)] } }, path: 'spec.target.tables[0]' },
      { spec: { ...goodSpecs.RowPolicy, rules: [goodRule, goodRule] }, path: 'spec.rules[1]' },
      { spec: { ...goodSpecs.RowPolicy, tests: [{ name: 't', as: { role: 'a' }, expect: { table: 't', visible: [{ id: 1.5 }] } }] }, path: 'spec.tests[0].expect.visible[0].id' },
      { spec: { ...goodSpecs.RowPolicy, databaseRef: { name: 'Not_A_Name' } }, path: 'spec.databaseRef.name' },
    ];
    for (const { spec, path } of faults) {
      expect(findProblems('RowPolicy', spec).map((problem) => problem.path)).toEqual([path]);
      const answer = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], manifest('RowPolicy', 'bad', spec));
      expect(answer.status, path).not.toBe(0);
    }
  });
});

const goodRule = { name: 'tenant', roles: ['app'], commands: ['All'], using: { sql: 'true' } };

describe('parsing', () => {
  const parse = (spec: unknown, extra: object = {}) => () =>
    parseResource({ apiVersion, kind: 'RowPolicy', metadata: { name: 'orders', namespace: 'shop' }, spec, ...extra });

  test('an unknown field is refused with the nearest known one', () => {
    const error = failure(parse({ ...goodSpecs.RowPolicy, rules: [{ ...goodRule, usng: {} }] }));
    expect(error.code).toBe('BadManifest');
    expect(error.object).toBe('RowPolicy shop/orders');
    expect(error.message).toContain('spec.rules[0].usng');
    expect(error.message).toContain('did you mean using?');
  });

  test('an unknown kind, an unknown version and a missing name are refused', () => {
    expect(failure(parse(goodSpecs.RowPolicy, { kind: 'RowPolcy' })).message).toContain('RowPolicy');
    expect(failure(parse(goodSpecs.RowPolicy, { apiVersion: 'rowseal.dev/v2' })).code).toBe('BadManifest');
    expect(failure(parse(goodSpecs.RowPolicy, { metadata: { namespace: 'shop' } })).code).toBe('BadManifest');
    expect(failure(parse(goodSpecs.RowPolicy, { sepc: {} })).message).toContain('did you mean spec?');
  });

  test('free-form claims and fixtures keep their own field names', () => {
    const spec = { ...goodSpecs.RowPolicy, tests: [{ name: 't', as: { role: 'a', claims: { x: { y: [1, null] } } }, fixture: { orders: [{ id: 1, t: null }] }, expect: { table: 'orders', count: 0 } }] };
    expect(parse(spec)().kind).toBe('RowPolicy');
  });
});

function failure(action: () => unknown): RowsealError {
  try {
    action();
  } catch (error) {
    if (error instanceof RowsealError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

interface Rule {
  readonly rule: string;
  readonly message: string;
  readonly holds?: unknown;
  readonly keeps?: unknown;
}

function rulesIn(schema: unknown): Rule[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([name, value]: [string, unknown]) =>
    name === 'x-kubernetes-validations' ? (value as Rule[]) : rulesIn(value),
  );
}
