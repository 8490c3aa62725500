// One entry as a person reads it, and which entries were asked for.
import type { Entry } from '../log/entry.ts';
import { summaryOf } from './entry-summary.ts';

export interface EntryFilter {
  /** `schema.name`. */
  readonly table?: string;
  /** The session's user, its role, or the claims' subject. */
  readonly actor?: string;
  /** Milliseconds since 1970. */
  readonly sinceMs?: number;
}

export function isWanted(entry: Entry, { table, actor, sinceMs }: EntryFilter): boolean {
  if (table !== undefined && (entry.object === undefined || `${entry.object.schema}.${entry.object.table}` !== table)) return false;
  if (actor !== undefined && !namesOf(entry).includes(actor)) return false;
  return sinceMs === undefined || Date.parse(entry.time) >= sinceMs;
}

/** Index, time, type, object and key, actor, and the names of changed columns or what else happened. */
export function tableLine(index: number, entry: Entry, color: boolean): string {
  const cells = [String(index).padStart(7), entry.time.padEnd(27), paint(entry.type.padEnd(14), entry.type, color), objectOf(entry).padEnd(28), actorOf(entry).padEnd(20), printable(summaryOf(entry) ?? changedOf(entry))];
  return cells.join('  ').trimEnd();
}

export const tableHeader = [' '.repeat(2) + 'INDEX', 'TIME'.padEnd(27), 'TYPE'.padEnd(14), 'OBJECT'.padEnd(28), 'ACTOR'.padEnd(20), 'WHAT'].join('  ');

function namesOf({ actor }: Entry): string[] {
  if (actor === undefined || 'unattributed' in actor) return [];
  const subject = subjectOf(actor.claims);
  return [actor.user, actor.role, actor.effective, subject].filter((name) => name !== undefined);
}

function subjectOf(claims: unknown): string | undefined {
  if (typeof claims !== 'object' || claims === null || !('sub' in claims)) return undefined;
  return typeof claims.sub === 'string' ? claims.sub : undefined;
}

function objectOf({ object }: Entry): string {
  if (object === undefined) return '-';
  const key = Object.entries(object.key ?? {}).map(([column, value]) => `${column}=${printable(value ?? 'null')}`);
  return `${printable(`${object.schema}.${object.table}`)}${key.length === 0 ? '' : ` ${key.join(',')}`}`;
}

function actorOf({ actor }: Entry): string {
  if (actor === undefined) return '-';
  if ('unattributed' in actor) return 'unattributed';
  const subject = subjectOf(actor.claims);
  const name = actor.effective ?? actor.user;
  return printable(subject === undefined ? name : `${subject} (${name})`);
}

function changedOf({ change }: Entry): string {
  const { before, after } = change ?? {};
  const columns = Object.keys(after ?? before ?? {});
  const changed = before === undefined || after === undefined ? columns : columns.filter((column) => before[column] !== after[column]);
  return changed.join(',');
}

/** What an application wrote must not steer the terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '\u{fffd}');
}

const red = '\u001b[31m';
const yellow = '\u001b[33m';
const reset = '\u001b[0m';

function paint(cell: string, type: string, color: boolean): string {
  if (!color) return cell;
  if (type.startsWith('gap') || type === 'forgery') return `${red}${cell}${reset}`;
  return type === 'policy.drift' ? `${yellow}${cell}${reset}` : cell;
}
