// DDL and changes around the policies as entries: exact where an event trigger told of it, else with the range in which it happened (DESIGN §5, DDL; §7).
import { formatLsn } from '../model/branded.ts';
import type { EnvironmentReport } from '../ports/audit-coverage.ts';
import { actorJson, canonical, unattributed } from './actor.ts';
import { addEntry, type CaptureParts, isSealed, type MessageAt } from './capture-parts.ts';
import { capturedConfiguration } from './captured-configuration.ts';
import { sealTableGap } from './configuration-effects.ts';
import type { DdlMessage } from './ddl-message.ts';
import { objectMembers } from './entry-text.ts';

export function applyDdl(parts: CaptureParts, message: DdlMessage, at: MessageAt): void {
  const { progress, statements } = parts;
  progress.noteCatalogChange();
  // From here on a statement on such a table says nothing of itself, so that one before it must not be taken for it.
  for (const relation of message.lost) statements.forget(relation);
  if (isSealed(at.transaction)) return;
  sealUnlogged(parts, message, at);
  const lost = message.lost.flatMap((oid) => progress.tables.get(oid) ?? []);
  if (!message.ours && lost.length === 0 && !recordsSchema(parts)) return;
  const ddl = canonical({
    command: message.command,
    event: message.event,
    evidence: 'wal',
    objects: message.objects ?? undefined,
    rewrite: message.rewrite ?? undefined,
    total: message.total,
    ofCapture: message.ours ? true : undefined,
    triggersLost: lost.length === 0 ? undefined : lost.map(({ schema, table }) => `${schema}.${table}`).sort(),
  });
  const about = message.objects?.map(({ relation }) => (relation === undefined ? undefined : progress.tables.get(relation))).find((table) => table !== undefined);
  addEntry(
    parts,
    { type: 'ddl', actor: actorJson(message.statement, message.pid), ...(about === undefined ? {} : { object: objectMembers(about.schema, about.table) }), extra: { ddl } },
    at,
  );
}

/** A table that becomes logged again, and that no look at the catalog found unlogged: what was written to it meanwhile is in no WAL. */
function sealUnlogged(parts: CaptureParts, { rewrite, objects }: DdlMessage, at: MessageAt): void {
  if (rewrite?.includes('logged') !== true) return;
  for (const { relation } of objects ?? []) {
    const table = relation === undefined ? undefined : parts.progress.tables.get(relation);
    if (table === undefined) continue;
    const from = parts.progress.proven ?? formatLsn(parts.progress.position.lsn);
    sealTableGap(parts, { schema: table.schema, table: table.table, oid: table.oid, problem: 'Unlogged', from }, at);
  }
}

/** The whole environment is sealed once, and then each change of it, so that every digest in a row's entry can be recomputed. */
export function applyEnvironment(parts: CaptureParts, report: EnvironmentReport, at: MessageAt): void {
  const { progress } = parts;
  if (report.digest === progress.environment) return;
  const follows = progress.environment !== undefined && report.previous === progress.environment;
  const range = { from: report.from, to: report.to };
  if (recordsSchema(parts)) {
    if (!follows || report.changes.length < report.total) {
      const environment = canonical({ digest: report.digest, items: report.items, range, total: follows ? report.total : undefined });
      addEntry(parts, { type: 'audit.config', extra: { environment } }, at);
    }
    for (const { kind, name, before, after } of follows ? report.changes : []) {
      const ddl = canonical({ after, before, evidence: 'polled', kind, name, range });
      addEntry(parts, { type: 'ddl', actor: unattributed, extra: { ddl, environment: canonical({ digest: report.digest }) } }, at);
    }
  }
  progress.update({ environment: report.digest });
}

function recordsSchema({ progress }: CaptureParts): boolean {
  return capturedConfiguration(progress.configuration)?.schemaChanges === 'Record';
}
