// From the decoded stream to entries: pure over events and source state, so every replay gives the same (DESIGN §5, §7).
import { type Lsn, zeroLsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { ConfiguredTable, MessageKey, RelationShape, StreamEvent } from '../ports/audit-database.ts';
import type { Batch } from '../ports/log-writer.ts';
import { actorJson, canonical, unattributed } from './actor.ts';
import { type CapturedConfiguration, capturedConfiguration, configuredTables, withoutDigests } from './captured-configuration.ts';
import { createStatementStack, type OpenStatement } from './context.ts';
import { digestOf, type EntryMembers, entryText, type EntryTransaction, formatMicros, objectMembers, relationJson, type SourceName } from './entry-text.ts';
import { type ForgeryReason, type Message, messagePrefix, readMessage } from './message.ts';
import { createPendingBatch } from './pending-batch.ts';

export interface CaptureOptions {
  readonly name: SourceName;
  /** Address of this capture in our own messages. */
  readonly captureName: string;
  readonly key: MessageKey;
  readonly state: SourceState;
  /** A transaction with more than this is sealed in parts. */
  readonly maxBatchBytes: number;
}

export interface Capture {
  accept(event: StreamEvent): void;
  /** What may be sealed; undefined when nothing new is. */
  take(): Batch | undefined;
  readonly ready: () => { readonly entries: number; readonly bytes: number; readonly stateChanged: boolean };
  readonly keyOf: (oid: number) => readonly string[] | undefined;
  /** False for a relation whose place among partitions must be looked up first. */
  readonly knows: (oid: number) => boolean;
  /** The answer of that look-up; undefined: it is gone, so its rows are kept without attribution. */
  learn(oid: number, shape: RelationShape, found: Pick<ConfiguredTable, 'ancestors' | 'key'> | undefined): void;
  /** State after the last whole transaction. */
  readonly state: () => SourceState;
}

interface Transaction extends EntryTransaction {
  /** Row changes so far, whatever their table. */
  seq: number;
  /** Row changes that are sealed already; Infinity when all of it is. */
  readonly sealed: number;
  lastMessage: Lsn;
  forgeries: number;
}

/** Somebody who writes forged messages in a loop gets this many entries a transaction, and one that counts the rest. */
const maxForgeriesEach = 16;

export function createCapture(options: CaptureOptions): Capture {
  const pending = createPendingBatch();
  const statements = createStatementStack();
  const shapes = new Map<number, { readonly shape: RelationShape; json?: string; digest?: string; key?: readonly string[] | undefined }>();
  let state = options.state;
  let tables = configuredTables(state.configuration);
  let transaction: Transaction | undefined;
  let lastTime = formatMicros(0n);

  const add = (members: EntryMembers, lsn: Lsn, current: Transaction): void => {
    const { text, blobs } = entryText(members, { name: options.name, transaction: current, lsn, seq: current.seq });
    pending.add(text, blobs);
  };
  /** What comes before the first unsealed row was sealed with the rows before it: parts end right after a row. */
  const isSealed = (current: Transaction): boolean => current.seq < current.sealed;

  const begin = (event: Extract<StreamEvent, { type: 'begin' }>): void => {
    const { position } = state;
    const past = event.commitLsn < position.lsn || (event.commitLsn === position.lsn && position.complete);
    lastTime = formatMicros(event.commitTimeMicros);
    transaction = {
      incarnation: position.incarnation,
      commitLsn: event.commitLsn,
      xid: event.xid,
      time: lastTime,
      seq: 0,
      sealed: past ? Infinity : event.commitLsn === position.lsn ? position.seq : 0,
      lastMessage: zeroLsn,
      forgeries: 0,
    };
    statements.clear();
  };

  const commit = (current: Transaction, endLsn: Lsn): void => {
    transaction = undefined;
    if (current.sealed === Infinity) return;
    if (current.forgeries > maxForgeriesEach) {
      add({ type: 'forgery', actor: unattributed, extra: { forgery: canonical({ further: current.forgeries - maxForgeriesEach }) } }, endLsn, current);
    }
    state = { ...state, position: { ...state.position, lsn: current.commitLsn, seq: current.seq, complete: true } };
    pending.cut(state);
  };

  const cutWithin = (current: Transaction): void => {
    if (pending.uncutBytes() < options.maxBatchBytes) return;
    // Sealed in parts, the server sends it whole again after a crash; the counted changes are left out then.
    state = { ...state, position: { ...state.position, lsn: current.commitLsn, seq: current.seq, complete: false } };
    pending.cut(state);
  };

  /** Digest of the relation's description, sealed first where this one was not yet. */
  const relationDigest = (oid: number, lsn: Lsn, current: Transaction): string => {
    const known = shapes.get(oid);
    if (known === undefined) return '';
    const key = tables.get(oid)?.key;
    if (known.digest === undefined || known.key !== key) {
      known.json = relationJson(known.shape, key ?? []);
      known.digest = digestOf(known.json);
      known.key = key;
    }
    if (state.relations[oid] !== known.digest) {
      const object = objectMembers(known.shape.schema, known.shape.table, known.digest);
      add({ type: 'relation', object, extra: { relation: known.json ?? '' } }, lsn, current);
      state = { ...state, relations: { ...state.relations, [oid]: known.digest } };
    }
    return known.digest;
  };

  interface RowChange {
    readonly operation: 'insert' | 'update' | 'delete' | 'truncate';
    readonly relation: number;
    readonly lsn: Lsn;
    readonly change: string;
    readonly key: string | undefined;
  }

  const row = (change: RowChange, current: Transaction): void => {
    if (current.seq < current.sealed) {
      current.seq++;
      return;
    }
    const table = tables.get(change.relation);
    const shape = shapes.get(change.relation)?.shape;
    if (table === undefined || shape === undefined || !table.operations.includes(operationNames[change.operation])) {
      current.seq++;
      return;
    }
    const relation = relationDigest(change.relation, change.lsn, current);
    current.seq++;
    const owner = statements.ownerOf(change.relation, table.ancestors);
    const { counters } = state;
    state = { ...state, counters: { ...counters, changes: counters.changes + 1, attributed: counters.attributed + (owner === undefined ? 0 : 1) } };
    const members: EntryMembers = {
      type: `row.${change.operation}`,
      actor: owner?.actor ?? unattributed,
      change: change.change,
      key: change.key,
      object: objectMembers(shape.schema, shape.table, relation),
      policy: policyJson(state.policies, owner, table),
    };
    add(members, change.lsn, current);
    cutWithin(current);
  };

  const forgery = (event: Extract<StreamEvent, { type: 'message' }>, reason: ForgeryReason, current: Transaction): void => {
    current.forgeries++;
    if (isSealed(current) || current.forgeries > maxForgeriesEach) return;
    const about = { bytes: event.content.length, digest: digestOf(event.content), prefix: event.prefix, reason };
    add({ type: 'forgery', actor: unattributed, extra: { forgery: canonical(about) } }, event.lsn, current);
  };

  const apply = (message: Message, lsn: Lsn, current: Transaction): void => {
    if (message.kind === 'open') {
      const { relation, operation, statement, pid } = message;
      statements.open({ relation, operation, actor: actorJson(statement, pid) });
    } else if (message.kind === 'close') statements.close(message.relation, message.operation);
    else if (!isSealed(current) && current.sealed !== Infinity) settle(message, lsn, current);
  };

  const settle = (message: Exclude<Message, { kind: 'open' | 'close' }>, lsn: Lsn, current: Transaction): void => {
    if (message.kind === 'digest') policyChange({ ...message, lsn, evidence: 'wal' }, current);
    else if (message.capture !== options.captureName) return;
    else if (message.kind === 'marker') state = { ...state, marker: { nonce: message.nonce, commitLsn: current.commitLsn, xid: current.xid } };
    else configure(message, lsn, current);
  };

  interface PolicyChange {
    readonly entry: 'policy.apply' | 'policy.drift';
    readonly relation: number;
    readonly digest: string | null;
    readonly user?: string;
    readonly pid?: number;
    readonly lsn: Lsn;
    readonly evidence: 'wal' | 'polled';
  }

  const policyChange = (change: PolicyChange, current: Transaction): void => {
    const table = tables.get(change.relation);
    if (table === undefined || change.digest === null || change.digest === state.policies[change.relation]) return;
    const policy = canonical({ digest: change.digest, evidence: change.evidence, previous: state.policies[change.relation] ?? null });
    // Its one author is known, but neither role nor claims: this is no statement on the rows.
    const actor = change.user === undefined ? unattributed : canonical({ claimsVerified: false, effective: change.user, pid: change.pid, role: change.user, user: change.user });
    add({ type: change.entry, actor, object: objectMembers(table.schema, table.table), policy }, change.lsn, current);
    state = { ...state, policies: { ...state.policies, [change.relation]: change.digest } };
  };

  const configure = (message: Extract<Message, { kind: 'configuration' }>, lsn: Lsn, current: Transaction): void => {
    const before = capturedConfiguration(state.configuration);
    const next: CapturedConfiguration = withoutDigests(message.configuration);
    for (const { schema, table, problem } of message.mended) {
      const gap = canonical({ from: state.position.lsn.toString(16), problem, reconcilable: false, scope: 'table', why: 'no baseline was taken' });
      add({ type: 'gap', actor: unattributed, object: objectMembers(schema, table), extra: { gap } }, lsn, current);
      state = { ...state, counters: { ...state.counters, gaps: state.counters.gaps + 1 } };
    }
    if (before === undefined || canonical(before) !== canonical(next)) {
      add({ type: before === undefined ? 'audit.start' : 'audit.config', extra: { configuration: canonical(next) } }, lsn, current);
    }
    state = { ...state, configuration: next };
    tables = configuredTables(next);
    for (const { oid, policyDigest } of message.configuration.tables) {
      if (policyDigest === null) continue;
      // The first digest is what was found; a later one that no message announced was seen only now.
      if (state.policies[oid] === undefined) state = { ...state, policies: { ...state.policies, [oid]: policyDigest } };
      else policyChange({ entry: 'policy.drift', relation: oid, digest: policyDigest, lsn, evidence: 'polled' }, current);
    }
  };

  const message = (event: Extract<StreamEvent, { type: 'message' }>): void => {
    if (event.prefix !== messagePrefix) return;
    if (!event.transactional || transaction === undefined) {
      outside(event);
      return;
    }
    if (transaction.sealed === Infinity) return;
    const read = readMessage(event.content, options.key, { xid: transaction.xid, lsn: event.lsn, after: transaction.lastMessage });
    if (typeof read === 'string') {
      forgery(event, read, transaction);
      return;
    }
    transaction.lastMessage = event.lsn;
    apply(read, event.lsn, transaction);
  };

  /** We never write such a message; it has a position of its own between transactions. */
  const outside = (event: Extract<StreamEvent, { type: 'message' }>): void => {
    if (event.lsn <= state.position.lsn || transaction !== undefined) return;
    const { incarnation } = state.position;
    const alone: Transaction = { incarnation, commitLsn: event.lsn, xid: 0, time: lastTime, seq: 0, sealed: 0, lastMessage: zeroLsn, forgeries: 0 };
    forgery(event, 'NotTransactional', alone);
    commit(alone, event.lsn);
  };

  const change = (event: Extract<StreamEvent, { type: 'change' }>, current: Transaction): void => {
    const { operation, relation, lsn, key, before, after, unsent } = event;
    const parts = [after === undefined ? '' : `"after":${after}`, before === undefined ? '' : `"before":${before}`, unsent === undefined ? '' : `"unsent":${unsent}`];
    row({ operation, relation, lsn, key, change: `{${parts.filter((part) => part !== '').join(',')}}` }, current);
  };

  return {
    accept: (event) => {
      if (event.type === 'begin') begin(event);
      else if (event.type === 'relation') shapes.set(event.relation.oid, { shape: event.relation });
      else if (event.type === 'message') message(event);
      else if (transaction === undefined || transaction.sealed === Infinity) {
        if (event.type === 'commit') transaction = undefined;
      } else if (event.type === 'commit') commit(transaction, event.endLsn);
      else if (event.type === 'change') change(event, transaction);
      else if (event.type === 'truncate') {
        const how = `{"cascade":${event.cascade},"restartIdentity":${event.restartIdentity}}`;
        for (const relation of event.relations) row({ operation: 'truncate', relation, lsn: event.lsn, change: how, key: undefined }, transaction);
      }
    },
    take: () => pending.take(),
    ready: pending.ready,
    keyOf: (oid) => tables.get(oid)?.key,
    knows: (oid) => tables.size === 0 || tables.has(oid),
    learn: (oid, shape, found) => {
      const learned = learnedTable(shape, found, tables);
      if (learned === undefined) return;
      const configuration = capturedConfiguration(state.configuration);
      if (configuration === undefined) return;
      state = { ...state, configuration: { ...configuration, tables: [...configuration.tables, { ...learned, oid }] } };
      tables = configuredTables(state.configuration);
    },
    state: () => state,
  };
}

const operationNames = { insert: 'Insert', update: 'Update', delete: 'Delete', truncate: 'Truncate' } as const;

/** A new partition records what its root records; a table that is gone is kept, since nothing tells that it was not ours. */
function learnedTable(
  { schema, table }: RelationShape,
  found: Pick<ConfiguredTable, 'ancestors' | 'key'> | undefined,
  tables: ReadonlyMap<number, Omit<ConfiguredTable, 'policyDigest'>>,
): Omit<ConfiguredTable, 'policyDigest' | 'oid'> | undefined {
  if (found === undefined) return { schema, table, ancestors: [], key: [], operations: ['Insert', 'Update', 'Delete', 'Truncate'] };
  const root = found.ancestors.map((ancestor) => tables.get(ancestor)).find((ancestor) => ancestor !== undefined);
  return root === undefined ? undefined : { schema, table, ...found, operations: root.operations };
}

/** The set of the table that the statement named; without a statement only a table without partitions above it is certain. */
function policyJson(policies: Readonly<Record<string, string>>, owner: OpenStatement | undefined, table: { readonly oid: number; readonly ancestors: readonly number[] }): string {
  const governed = owner?.relation ?? (table.ancestors.length === 0 ? table.oid : undefined);
  const digest = governed === undefined ? undefined : policies[governed];
  return digest === undefined ? '{"digest":null,"evidence":"unknown"}' : `{"digest":"${digest}","evidence":"wal"}`;
}
