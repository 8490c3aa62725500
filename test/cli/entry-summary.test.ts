// One line says what happened, whatever is in the entry.
import { describe, expect, it } from 'vitest';
import { summaryOf } from '../../src/cli/entry-summary.ts';
import { tableLine } from '../../src/cli/log-line.ts';
import type { Entry } from '../../src/log/entry.ts';

const entry = (type: Entry['type'], more: Readonly<Record<string, unknown>> = {}): Entry => ({ v: 1, type, time: '2026-11-24T00:00:00.000000Z', ...more });

describe('the summary of an entry', () => {
  it.each([
    [entry('ddl', { ddl: { command: 'ALTER TABLE', total: 3, objects: [{ type: 'table', identity: 'public.t' }] } }), 'ALTER TABLE (table public.t) +2'],
    [entry('ddl', { ddl: { command: 'DROP TRIGGER', total: 1, objects: [{ type: 'trigger', identity: 'x on public.t' }], triggersLost: ['public.t'] } }), 'DROP TRIGGER (trigger x on public.t) our triggers are gone'],
    [entry('ddl', { ddl: { kind: 'membership', name: 'tenant -> app', evidence: 'polled' } }), 'membership tenant -> app'],
    [entry('gap', { gap: { problem: 'NotPublished', scope: 'table', from: '0/1', to: '0/2' } }), 'NotPublished of the table 0/1–0/2'],
    [entry('gap', { gap: { reason: 'SlotMissing', scope: 'source', from: { lsn: '0/1' } } }), 'SlotMissing of the source'],
    [entry('gap.reconciled', { gap: { operation: 'update', ids: ['x'] } }), 'update'],
    [entry('gap.reconciled', { gap: { reconciled: true, differences: 2, last: true } }), '2 differences'],
    [entry('gap.reconciled', { gap: { reconciled: false, why: 'the key of the table changed' } }), 'not reconciled: the key of the table changed'],
    [entry('baseline', { baseline: { id: 'x', last: true, rows: 7 } }), '7 rows in all'],
    [entry('baseline', { baseline: { id: 'x' } }), undefined],
    [entry('audit.config', { coverage: { problem: 'TriggerMissing' } }), 'mended TriggerMissing'],
    [entry('audit.config', { environment: {} }), 'environment'],
    [entry('audit.stop', { stop: { reason: 'PolicyDeleted', slot: 'Retained' } }), 'PolicyDeleted slot retained'],
    [entry('forgery', { forgery: { reason: 'BadMac' } }), 'BadMac'],
    [entry('ddl', { ddl: { command: 'GRANT', objects: [7], total: 'many' } }), 'GRANT ()'],
    [entry('gap', { gap: null }), ''],
    [entry('row.insert'), undefined],
  ])('%j → %s', (given, said) => {
    expect(summaryOf(given)).toBe(said);
  });

  it('never steers the terminal', () => {
    expect(tableLine(0, entry('ddl', { ddl: { command: '\u{1b}[2J' } }), false)).not.toContain('\u{1b}');
  });
});
