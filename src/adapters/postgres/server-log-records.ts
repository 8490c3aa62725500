// Records of PostgreSQL's csvlog and jsonlog: whole ones from the bytes of a file, and what each says of logins and reads.
import type { ReadSettings, ServerLogEvent } from '../../ports/server-log.ts';

/** What we use of a record. */
interface LogRecord {
  readonly logged: string;
  readonly user: string;
  readonly database: string;
  readonly pid: number;
  readonly session: string;
  readonly client: string;
  readonly application: string;
  /** What the process was doing, as the server says it; no session can set it. */
  readonly doing: string;
  readonly message: string;
  readonly context: string;
}

export interface ParsedRecords {
  readonly records: readonly { readonly start: number; readonly record: LogRecord }[];
  /** Bytes up to the end of the last whole record. */
  readonly length: number;
  readonly unreadable: number;
}

const newline = 0x0a;
const quote = 0x22;

export function parseRecords(bytes: Buffer, format: ReadSettings['format']): ParsedRecords {
  const records: { start: number; record: LogRecord }[] = [];
  let at = 0;
  let unreadable = 0;
  for (;;) {
    const end = format === 'jsonlog' ? bytes.indexOf(newline, at) : endOfCsv(bytes, at);
    if (end < 0) return { records, length: at, unreadable };
    const record = format === 'jsonlog' ? jsonRecord(bytes.toString('utf8', at, end)) : csvRecord(bytes.toString('utf8', at, end));
    if (record !== undefined) {
      records.push({ start: at, record });
      at = end + 1;
      continue;
    }
    // Quotes may have gone out of step, so the next line that begins like a record is looked for.
    const next = format === 'jsonlog' ? end + 1 : nextStart(bytes, at + 1);
    if (next < 0) return { records, length: at, unreadable };
    unreadable += next - at;
    at = next;
  }
}

/** A newline in quotes belongs to its field. */
function endOfCsv(bytes: Buffer, from: number): number {
  let quoted = false;
  for (let at = from; at < bytes.length; at++) {
    if (bytes[at] === quote) quoted = !quoted;
    else if (bytes[at] === newline && !quoted) return at;
  }
  return -1;
}

const startPattern = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/;

function nextStart(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(newline, from); at >= 0; at = bytes.indexOf(newline, at + 1)) {
    if (startPattern.test(bytes.toString('latin1', at + 1, at + 20))) return at + 1;
  }
  return -1;
}

function jsonRecord(line: string): LogRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('timestamp' in value)) return undefined;
  const field = (name: string): string => {
    const found: unknown = (value as Record<string, unknown>)[name];
    return typeof found === 'string' || typeof found === 'number' ? String(found) : '';
  };
  return {
    logged: field('timestamp'),
    user: field('user'),
    database: field('dbname'),
    pid: Number(field('pid')),
    session: field('session_id'),
    client: field('remote_host'),
    application: field('application_name'),
    doing: field('ps'),
    message: field('message'),
    context: field('context'),
  };
}

/** Columns as PostgreSQL's manual lists them (Using CSV-Format Log Output); newer versions add some at the end. */
function csvRecord(line: string): LogRecord | undefined {
  const fields = csvFields(line);
  if (fields.length < 23 || !startPattern.test(fields[0] ?? '')) return undefined;
  const field = (index: number): string => fields[index] ?? '';
  return {
    logged: field(0),
    user: field(1),
    database: field(2),
    pid: Number(field(3)),
    session: field(5),
    client: field(4).replace(/:\d+$/, ''),
    application: field(22),
    doing: field(7),
    message: field(13),
    context: field(18),
  };
}

function csvFields(line: string): readonly string[] {
  const fields: string[] = [];
  for (const [, quoted, plain = ''] of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
  return fields;
}

const auditPrefix = 'AUDIT: ';
/** Also in other languages of the server's messages only the first of the two at a login names the method. */
const authorized = /^connection authorized: /;

/** Of the audited database; undefined for records about anything else. */
export function eventOf(record: LogRecord, database: string): Omit<ServerLogEvent, 'start'> | undefined {
  if (record.database !== database || record.user === '') return undefined;
  const { logged, user, pid, session } = record;
  const by = { user, pid, session, application: record.application === '' ? undefined : record.application, client: record.client === '' ? undefined : record.client };
  const common = { logged, time: timeOf(logged), by };
  if (record.doing === 'authentication') return authorized.test(record.message) ? { ...common, kind: 'login' } : undefined;
  if (!record.message.startsWith(auditPrefix)) return undefined;
  // pgaudit hides the context of what it writes; RAISE in a function cannot.
  if (record.context !== '') return { ...common, kind: 'forgery' };
  const [scope = '', statementId, substatementId, group, command = '', objectType = '', object = '', statement = ''] = csvFields(record.message.slice(auditPrefix.length));
  if (group !== 'READ') return undefined;
  const read = { scope, statementId: Number(statementId), substatementId: Number(substatementId), command, objectType, object, statement };
  return { ...common, kind: 'read', ...read };
}

/** `2026-11-25 01:02:03.456 UTC`: names of other zones mean different things in different places. */
function timeOf(logged: string): string | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) (?:(UTC|GMT)|([+-]\d\d)(\d\d)?)$/.exec(logged);
  if (match === null) return undefined;
  const [, date, time, zone, hours, minutes = '00'] = match;
  if (zone !== undefined) return `${date}T${time}Z`;
  const instant = new Date(`${date}T${time}${hours}:${minutes}`);
  return Number.isNaN(instant.getTime()) ? undefined : instant.toISOString();
}
