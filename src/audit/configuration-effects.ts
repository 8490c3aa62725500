// A configuration in the WAL comes into force: what it changes, what was broken before it, and which tables come back (DESIGN §5, Coverage).
import { formatLsn } from '../model/branded.ts';
import type { CoverageProblem, InstallationProblem } from '../ports/audit-coverage.ts';
import { canonical, unattributed } from './actor.ts';
import { addEntry, type CaptureParts, type MessageAt } from './capture-parts.ts';
import { type CapturedConfiguration, capturedConfiguration, withoutDigests } from './captured-configuration.ts';
import { objectMembers } from './entry-text.ts';
import type { Message } from './message.ts';

type ConfigurationMessage = Extract<Message, { kind: 'configuration' }>;

/** Rows may be missing; after the others rows were captured, but not everything about them. */
const losing: ReadonlySet<CoverageProblem | InstallationProblem> = new Set<CoverageProblem | InstallationProblem>([
  'NotPublished',
  'Filtered',
  'OperationsNotPublished',
  'Interrupted',
  'Unlogged',
]);

/** Tables that left are remembered up to this many, the latest ones. */
const maxLeft = 1_024;

export function configure(parts: CaptureParts, message: ConfigurationMessage, at: MessageAt): void {
  const { progress } = parts;
  const known = capturedConfiguration(progress.configuration);
  const before = known?.provisional === true ? undefined : known;
  const since = message.since ?? progress.proven ?? formatLsn(progress.position.lsn);
  sealBroken(parts, message, { at, since });
  const found = withoutDigests(message.configuration);
  sealReturned(parts, { before, found }, { at, since });
  const next = before === undefined ? found : withAbsences(before, found, since);
  const begins = before === undefined || progress.ended;
  if (begins || canonical(before) !== canonical(next)) {
    addEntry(parts, { type: begins ? 'audit.start' : 'audit.config', extra: { configuration: canonical(next) } }, at);
  }
  progress.beginAgain();
  // That it is in force proves nothing: somebody may have broken it between the look and this. But before the first, nothing was promised.
  const proven = message.since ?? (before === undefined ? formatLsn(at.lsn) : progress.proven);
  progress.update({ configuration: next, ...(proven === undefined ? {} : { proven }) });
}

interface Since {
  readonly at: MessageAt;
  readonly since: string;
}

function sealBroken(parts: CaptureParts, { mended, configuration }: ConfigurationMessage, { at, since }: Since): void {
  for (const { schema, table, oid, problem } of mended) {
    if (problem === 'NotRecorded') {
      // The same table, which our state knows as captured: the database has forgotten it, and what it did meanwhile is not known.
      const known = configuration.tables.find((found) => found.schema === schema && found.table === table);
      if (known !== undefined && parts.progress.tables.has(known.oid)) sealTableGap(parts, { ...known, problem: 'Interrupted', from: since }, at);
      continue;
    }
    if (schema !== undefined && table !== undefined && oid !== undefined && losing.has(problem)) sealTableGap(parts, { schema, table, oid, problem, from: since }, at);
    else {
      const object = schema === undefined || table === undefined ? {} : { object: objectMembers(schema, table) };
      addEntry(parts, { type: 'audit.config', actor: unattributed, ...object, extra: { coverage: canonical({ from: since, mended: true, problem, to: formatLsn(at.transaction.commitLsn) }) } }, at);
    }
  }
}

interface Configurations {
  readonly before: CapturedConfiguration | undefined;
  readonly found: CapturedConfiguration;
}

/** A table that was captured before, or should have been, and is only now: whatever happened to it meanwhile is missing. */
function sealReturned(parts: CaptureParts, { before, found }: Configurations, { at, since }: Since): void {
  if (before === undefined) return;
  const known = new Set(before.tables.map(({ oid }) => oid));
  for (const { oid, schema, table, ancestors } of found.tables) {
    const same = (other: { readonly schema: string; readonly table: string }) => other.schema === schema && other.table === table;
    const left = before.left?.find((gone) => gone.oid === oid);
    const absent = before.absent?.find(same);
    // The stream may have brought its rows already, which says nothing of those before.
    if (left !== undefined) sealTableGap(parts, { schema, table, oid, problem: 'Returned', from: left.since }, at);
    // Born below a published root, it was captured from its first row on.
    else if (known.has(oid) || ancestors.length > 0) continue;
    else if (absent !== undefined) sealTableGap(parts, { schema, table, oid, problem: 'Created', from: absent.since ?? since }, at);
    else if (before.tables.some(same)) sealTableGap(parts, { schema, table, oid, problem: 'Created', from: since }, at);
  }
}

interface TableGap {
  readonly schema: string;
  readonly table: string;
  readonly oid: number;
  readonly problem: string;
  /** End of the WAL that was last known to be covered. */
  readonly from: string;
}

export function sealTableGap(parts: CaptureParts, { schema, table, oid, problem, from }: TableGap, at: MessageAt): void {
  const { progress, name } = parts;
  // A row that commits before this does is not captured yet, wherever our message stands.
  const to = formatLsn(at.transaction.commitLsn);
  const gap = {
    from,
    id: `postgresql/${name.system}/${name.database}#${progress.position.incarnation}/${to}/${oid}`,
    problem,
    scope: 'table',
    to,
    ...parts.outlook(progress.tables.get(oid)),
  };
  addEntry(parts, { type: 'gap', actor: unattributed, object: objectMembers(schema, table), extra: { gap: canonical(gap) } }, at);
  progress.countGap();
  progress.update({ gaps: { ...progress.gaps, [oid]: gap.id } });
}

function withAbsences(before: CapturedConfiguration, found: CapturedConfiguration, since: string): CapturedConfiguration {
  const absent = (found.absent ?? []).map((table) => {
    const known = before.absent?.find((other) => other.schema === table.schema && other.table === table.table)?.since;
    const captured = before.tables.some((other) => other.schema === table.schema && other.table === table.table);
    const from = known ?? (captured ? since : undefined);
    return from === undefined ? table : { ...table, since: from };
  });
  const present = new Set(found.tables.map(({ oid }) => oid));
  const remembered = new Set((before.left ?? []).map(({ oid }) => oid));
  const leaving = before.tables.filter(({ oid }) => !remembered.has(oid)).map(({ oid }) => ({ oid, since }));
  const left = [...(before.left ?? []), ...leaving].filter(({ oid }) => !present.has(oid));
  return { ...found, absent, ...(left.length === 0 ? {} : { left: left.slice(-maxLeft) }) };
}
