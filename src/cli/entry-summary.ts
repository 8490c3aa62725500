// What an entry that is about no row says, in a few words: from attacker-controlled JSON, so nothing is taken for granted.
import type { Entry } from '../log/entry.ts';

/** Undefined for a type that says all in its name. */
export function summaryOf(entry: Entry): string | undefined {
  switch (entry.type) {
    case 'ddl':
      return ddlSummary(members(entry['ddl']));
    case 'gap':
    case 'gap.rewound':
      return gapSummary(members(entry['gap']));
    case 'gap.reconciled':
      return reconciledSummary(members(entry['gap']));
    case 'baseline':
      return baselineSummary(members(entry['baseline']));
    case 'audit.config':
      return configSummary(entry);
    case 'audit.stop':
      return stopSummary(members(entry['stop']));
    case 'read': {
      const { command, objectType, object } = members(entry['read']);
      return words(command, objectType, object);
    }
    case 'forgery':
      return words(members(entry['forgery'])['reason']);
    default:
      return undefined;
  }
}

type Members = Readonly<Record<string, unknown>>;

/** A command and its first object, or what comparison found. */
function ddlSummary({ command, kind, name, objects, total, triggersLost }: Members): string {
  if (typeof command !== 'string') return words(kind, name);
  const [first] = Array.isArray(objects) ? (objects as readonly unknown[]) : [];
  const { type, identity } = members(first);
  const more = typeof total === 'number' && total > 1 ? `+${total - 1}` : undefined;
  return words(command, first === undefined ? undefined : `(${words(type, identity)})`, more, triggersLost === undefined ? undefined : 'our triggers are gone');
}

function gapSummary({ reason, problem, scope, from, to }: Members): string {
  const range = typeof from === 'string' && typeof to === 'string' ? `${from}–${to}` : undefined;
  return words(reason ?? problem, typeof scope === 'string' ? `of the ${scope}` : undefined, range);
}

function stopSummary({ reason, slot }: Members): string {
  return words(reason, slot === 'Removed' ? 'slot removed' : 'slot retained');
}

/** One difference, or how many there were. */
function reconciledSummary({ operation, reconciled, differences, why }: Members): string {
  if (typeof operation === 'string') return operation;
  if (reconciled === true) return `${typeof differences === 'number' ? differences : 'unknown'} differences`;
  return words('not reconciled:', why);
}

/** The last row says how many there were; of the others the columns are shown. */
function baselineSummary({ last, rows }: Members): string | undefined {
  return last === true && typeof rows === 'number' ? `${rows} rows in all` : undefined;
}

function configSummary(entry: Entry): string {
  if (entry['coverage'] !== undefined) return words('mended', members(entry['coverage'])['problem']);
  return entry['environment'] === undefined ? 'configuration' : 'environment';
}

function members(value: unknown): Members {
  return typeof value === 'object' && value !== null ? (value as Members) : {};
}

function words(...parts: readonly unknown[]): string {
  return parts.filter((part) => typeof part === 'string' && part !== '').join(' ');
}
