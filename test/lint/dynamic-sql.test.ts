// Which functions run what their callers make up.
import { expect, test } from 'vitest';
import { callersChoice } from '../../src/lint/dynamic-sql.ts';
import type { CatalogFunction } from '../../src/policy/catalog.ts';

function plpgsql(args: string, source: string): CatalogFunction {
  return { oid: 1, schema: 'public', name: 'f', arguments: args, returns: 'void', kind: 'Function', owner: 10, definer: true, leakproof: false, volatility: 'Volatile', language: 'plpgsql', settings: [], extension: null, source, grants: [] };
}

test.each([
  ['query text', 'begin execute query; end', 'Statement'],
  ['text', 'begin execute $1; end', 'Statement'],
  ['term text', `begin return query execute 'select * from notes where body like ''' || term || ''''; end`, 'Statement'],
  ['term text', `begin execute format('select * from notes where body = %s', term); end`, 'Statement'],
  ['term text', `begin execute format('select * from notes where body = %L', term); end`, undefined],
  ['term text', `begin execute 'select * from notes where body = $1' using term; end`, undefined],
  ['term text', `begin execute 'select * from notes where body = ' || quote_literal(term); end`, undefined],
  ['tbl text', `begin execute format('select * from %I', tbl); end`, 'Name'],
  ['tbl text', `begin execute 'select * from ' || quote_ident(tbl); end`, 'Name'],
  ['x integer', `begin execute 'analyze orders'; end`, undefined],
  ['x integer', `begin create trigger t after insert on a for each row execute function x(); end`, undefined],
])('%s: %s', (args, source, choice) => {
  expect(callersChoice(plpgsql(args, source))).toBe(choice);
});
