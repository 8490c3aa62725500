// Which bodies leave something to the search_path.
import { expect, test } from 'vitest';
import { hasBareNames } from '../../src/lint/bare-names.ts';
import type { CatalogFunction } from '../../src/policy/catalog.ts';

function of(source: string): CatalogFunction {
  return { oid: 1, schema: 'public', name: 'f', arguments: '', returns: 'void', kind: 'Function', owner: 10, definer: true, leakproof: false, volatility: 'Volatile', language: 'plpgsql', settings: [], extension: null, source, grants: [] };
}

test.each([
  [`select count(*) from public.orders`, true],
  [`select o.id from public.orders o where o.id = 1`, true],
  [`begin return x::text; end`, true],
  [`begin execute 'select 1'; end`, true],
  [`select pg_catalog.count(*) from public.orders`, false],
  [`select o.* from public.orders o`, false],
  [`declare a pg_catalog.text := pg_catalog.current_setting(setting, true); begin if a is null then return null; end if; return a::pg_catalog.text; end`, false],
  [`begin if not (pg_catalog.texteq(a, b)) then raise exception 'a = % (b)', a; end if; end -- a = b`, false],
])('%s', (source, bare) => {
  expect(hasBareNames(of(source))).toBe(bare);
});
