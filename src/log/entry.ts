// One audited event, a leaf of the tree, as canonical JSON (DESIGN §7).
import canonicalize from 'canonicalize';
import { RowsealError } from '../model/errors.ts';
import { maxEntryBytes } from './bundle.ts';

const entryTypes = [
  'row.insert',
  'row.update',
  'row.delete',
  'row.truncate',
  'relation',
  'ddl',
  'policy.apply',
  'policy.drift',
  'policy.revert',
  'audit.start',
  'audit.stop',
  'audit.config',
  'baseline',
  'gap',
  'gap.rewound',
  'gap.reconciled',
  'forgery',
  'session.login',
  'read',
  'heartbeat',
] as const;
type EntryType = (typeof entryTypes)[number];

interface EntrySource {
  readonly system: string;
  readonly incarnation: number;
  readonly database: string;
  readonly timeline: number;
  /** PostgreSQL's text form, as `commitLsn` is. */
  readonly lsn?: string;
  readonly commitLsn?: string;
  readonly xid?: number;
  readonly seq?: number;
}

/** Column values in PostgreSQL's text form, verbatim. */
type ColumnValues = Readonly<Record<string, string | null>>;

type EntryActor =
  | { readonly unattributed: true; readonly reason?: string }
  | {
      readonly user: string;
      /** Not known of what the server's own log tells. */
      readonly role?: string;
      readonly effective?: string;
      readonly claims?: unknown;
      readonly claimsVerified?: boolean;
      readonly application?: string;
      readonly client?: string;
      readonly pid?: number;
    };

export interface Entry {
  readonly v: 1;
  readonly type: EntryType;
  /** RFC 3339, microseconds. */
  readonly time: string;
  readonly source?: EntrySource;
  readonly object?: { readonly schema: string; readonly table: string; readonly key?: ColumnValues; readonly relation?: string };
  readonly actor?: EntryActor;
  readonly change?: { readonly before?: ColumnValues; readonly after?: ColumnValues };
  readonly policy?: { readonly digest: string; readonly environment?: string; readonly evidence: string };
  /** What else a type carries. */
  readonly [field: string]: unknown;
}

/** RFC 8785. Throws BadLogData when it is longer than a leaf may be. */
export function encodeEntry(entry: Entry): Buffer {
  const bytes = Buffer.from(canonicalize(entry) ?? '');
  if (bytes.length > maxEntryBytes) throw new RowsealError('BadLogData', `an entry of ${bytes.length} bytes is longer than ${maxEntryBytes}`);
  return bytes;
}

/** Attacker-controlled input, for readers: what is signed is the bytes. Throws BadLogData when they are no entry of version 1. */
export function parseEntry(bytes: Uint8Array): Entry {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new RowsealError('BadLogData', 'an entry that is not JSON', { cause });
  }
  if (!isEntry(value)) throw new RowsealError('BadLogData', 'an entry without version 1, a known type and a time');
  return value;
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null || !('v' in value) || !('type' in value) || !('time' in value)) return false;
  return value.v === 1 && (entryTypes as readonly unknown[]).includes(value.type) && typeof value.time === 'string';
}
