// From the decoded stream to entries: pure over events and source state, so every replay gives the same (DESIGN §5, §7).
import { formatLsn, type Lsn, zeroLsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { ConfiguredTable, MessageKey, RelationShape, StreamEvent } from '../ports/audit-database.ts';
import type { Batch } from '../ports/log-writer.ts';
import { actorJson, canonical, unattributed } from './actor.ts';
import { capturedConfiguration, configuredTables, withoutDigests } from './captured-configuration.ts';
import { createStatementStack } from './context.ts';
import { digestOf, type EntryMembers, entryText, type EntryTransaction, formatMicros, objectMembers, relationJson, type SourceName } from './entry-text.ts';
import { type ForgeryReason, type Message, messagePrefix, readMessage } from './message.ts';
import { createPendingBatch } from './pending-batch.ts';
import { learnedTable, operationNames, policyJson } from './row-facts.ts';

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

interface KnownShape {
  readonly shape: RelationShape;
  json?: string;
  digest?: string;
  key?: readonly string[] | undefined;
}

interface RowChange {
  readonly operation: 'insert' | 'update' | 'delete' | 'truncate';
  readonly relation: number;
  readonly lsn: Lsn;
  readonly change: string;
  readonly key: string | undefined;
}

interface PolicyChange {
  readonly entry: 'policy.apply' | 'policy.drift';
  readonly relation: number;
  readonly digest: string | null;
  readonly user?: string;
  readonly pid?: number;
  readonly lsn: Lsn;
  readonly evidence: 'wal' | 'polled';
}

type EventOf<Type extends StreamEvent['type']> = Extract<StreamEvent, { type: Type }>;

/** Somebody who writes forged messages in a loop gets this many entries a transaction, and one that counts the rest. */
const maxForgeriesEach = 16;

export function createCapture(options: CaptureOptions): Capture {
  return new StreamCapture(options);
}

/** Holds what has been read; `accept` is the only thing that changes it, and `take` the only one that lets go. */
class StreamCapture implements Capture {
  readonly #options: CaptureOptions;
  readonly #pending = createPendingBatch();
  readonly #statements = createStatementStack();
  readonly #shapes = new Map<number, KnownShape>();
  #state: SourceState;
  #tables: ReadonlyMap<number, Omit<ConfiguredTable, 'policyDigest'>>;
  #transaction: Transaction | undefined;
  #lastTime = formatMicros(0n);

  constructor(options: CaptureOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#tables = configuredTables(options.state.configuration);
  }

  accept(event: StreamEvent): void {
    if (event.type === 'begin') this.#begin(event);
    else if (event.type === 'relation') this.#shapes.set(event.relation.oid, { shape: event.relation });
    else if (event.type === 'message') this.#message(event);
    else if (this.#transaction === undefined || this.#transaction.sealed === Infinity) {
      if (event.type === 'commit') this.#transaction = undefined;
    } else if (event.type === 'commit') this.#commit(this.#transaction, event.endLsn);
    else if (event.type === 'change') this.#change(event, this.#transaction);
    else if (event.type === 'truncate') this.#truncate(event, this.#transaction);
  }

  take(): Batch | undefined {
    return this.#pending.take();
  }

  readonly ready: Capture['ready'] = () => this.#pending.ready();
  readonly keyOf: Capture['keyOf'] = (oid) => this.#tables.get(oid)?.key;
  readonly knows: Capture['knows'] = (oid) => this.#tables.size === 0 || this.#tables.has(oid);
  readonly state: Capture['state'] = () => this.#state;

  learn(oid: number, shape: RelationShape, found: Pick<ConfiguredTable, 'ancestors' | 'key'> | undefined): void {
    const learned = learnedTable(shape, found, this.#tables);
    const configuration = capturedConfiguration(this.#state.configuration);
    if (learned === undefined || configuration === undefined) return;
    this.#state = { ...this.#state, configuration: { ...configuration, tables: [...configuration.tables, { ...learned, oid }] } };
    this.#tables = configuredTables(this.#state.configuration);
  }

  #truncate(event: EventOf<'truncate'>, current: Transaction): void {
    const how = `{"cascade":${event.cascade},"restartIdentity":${event.restartIdentity}}`;
    for (const relation of event.relations) this.#row({ operation: 'truncate', relation, lsn: event.lsn, change: how, key: undefined }, current);
  }

  #add(members: EntryMembers, lsn: Lsn, current: Transaction): void {
    const { text, blobs } = entryText(members, { name: this.#options.name, transaction: current, lsn, seq: current.seq });
    this.#pending.add(text, blobs);
  }

  /** What comes before the first unsealed row was sealed with the rows before it: parts end right after a row. */
  #isSealed(current: Transaction): boolean {
    return current.seq < current.sealed;
  }

  #begin(event: EventOf<'begin'>): void {
    const { position } = this.#state;
    const past = event.commitLsn < position.lsn || (event.commitLsn === position.lsn && position.complete);
    this.#lastTime = formatMicros(event.commitTimeMicros);
    this.#transaction = {
      incarnation: position.incarnation,
      commitLsn: event.commitLsn,
      xid: event.xid,
      time: this.#lastTime,
      seq: 0,
      sealed: past ? Infinity : event.commitLsn === position.lsn ? position.seq : 0,
      lastMessage: zeroLsn,
      forgeries: 0,
    };
    this.#statements.clear();
  }

  #commit(current: Transaction, endLsn: Lsn): void {
    this.#transaction = undefined;
    if (current.sealed === Infinity) return;
    if (current.forgeries > maxForgeriesEach) {
      this.#add({ type: 'forgery', actor: unattributed, extra: { forgery: canonical({ further: current.forgeries - maxForgeriesEach }) } }, endLsn, current);
    }
    this.#state = { ...this.#state, position: { ...this.#state.position, lsn: current.commitLsn, seq: current.seq, complete: true } };
    this.#pending.cut(this.#state);
  }

  #cutWithin(current: Transaction): void {
    if (this.#pending.uncutBytes() < this.#options.maxBatchBytes) return;
    // Sealed in parts, the server sends it whole again after a crash; the counted changes are left out then.
    this.#state = { ...this.#state, position: { ...this.#state.position, lsn: current.commitLsn, seq: current.seq, complete: false } };
    this.#pending.cut(this.#state);
  }

  /** Digest of the relation's description, sealed first where this one was not yet. */
  #relationDigest(oid: number, lsn: Lsn, current: Transaction): string {
    const known = this.#shapes.get(oid);
    if (known === undefined) return '';
    const key = this.#tables.get(oid)?.key;
    if (known.digest === undefined || known.key !== key) {
      known.json = relationJson(known.shape, key ?? []);
      known.digest = digestOf(known.json);
      known.key = key;
    }
    if (this.#state.relations[oid] !== known.digest) {
      const object = objectMembers(known.shape.schema, known.shape.table, known.digest);
      this.#add({ type: 'relation', object, extra: { relation: known.json ?? '' } }, lsn, current);
      this.#state = { ...this.#state, relations: { ...this.#state.relations, [oid]: known.digest } };
    }
    return known.digest;
  }

  #row(change: RowChange, current: Transaction): void {
    const table = this.#tables.get(change.relation);
    const shape = this.#shapes.get(change.relation)?.shape;
    if (this.#isSealed(current) || table === undefined || shape === undefined || !table.operations.includes(operationNames[change.operation])) {
      current.seq++;
      return;
    }
    const relation = this.#relationDigest(change.relation, change.lsn, current);
    current.seq++;
    const owner = this.#statements.ownerOf(change.relation, table.ancestors);
    const { counters } = this.#state;
    this.#state = { ...this.#state, counters: { ...counters, changes: counters.changes + 1, attributed: counters.attributed + (owner === undefined ? 0 : 1) } };
    const members: EntryMembers = {
      type: `row.${change.operation}`,
      actor: owner?.actor ?? unattributed,
      change: change.change,
      key: change.key,
      object: objectMembers(shape.schema, shape.table, relation),
      policy: policyJson(this.#state.policies, owner, table),
    };
    this.#add(members, change.lsn, current);
    this.#cutWithin(current);
  }

  #forgery(event: EventOf<'message'>, reason: ForgeryReason, current: Transaction): void {
    current.forgeries++;
    if (this.#isSealed(current) || current.forgeries > maxForgeriesEach) return;
    const about = { bytes: event.content.length, digest: digestOf(event.content), prefix: event.prefix, reason };
    this.#add({ type: 'forgery', actor: unattributed, extra: { forgery: canonical(about) } }, event.lsn, current);
  }

  #apply(message: Message, lsn: Lsn, current: Transaction): void {
    if (message.kind === 'open') {
      const { relation, operation, statement, pid } = message;
      this.#statements.open({ relation, operation, actor: actorJson(statement, pid) });
    } else if (message.kind === 'close') this.#statements.close(message.relation, message.operation);
    else if (!this.#isSealed(current) && current.sealed !== Infinity) this.#settle(message, lsn, current);
  }

  #settle(message: Exclude<Message, { kind: 'open' | 'close' }>, lsn: Lsn, current: Transaction): void {
    if (message.kind === 'digest') this.#policyChange({ ...message, lsn, evidence: 'wal' }, current);
    else if (message.capture !== this.#options.captureName) return;
    else if (message.kind === 'marker') this.#state = { ...this.#state, marker: { nonce: message.nonce, commitLsn: current.commitLsn, xid: current.xid } };
    else this.#configure(message, lsn, current);
  }

  #policyChange(change: PolicyChange, current: Transaction): void {
    const table = this.#tables.get(change.relation);
    if (table === undefined || change.digest === null || change.digest === this.#state.policies[change.relation]) return;
    const policy = canonical({ digest: change.digest, evidence: change.evidence, previous: this.#state.policies[change.relation] ?? null });
    // Its one author is known, but neither role nor claims: this is no statement on the rows.
    const actor = change.user === undefined ? unattributed : canonical({ claimsVerified: false, effective: change.user, pid: change.pid, role: change.user, user: change.user });
    this.#add({ type: change.entry, actor, object: objectMembers(table.schema, table.table), policy }, change.lsn, current);
    this.#state = { ...this.#state, policies: { ...this.#state.policies, [change.relation]: change.digest } };
  }

  #configure(message: Extract<Message, { kind: 'configuration' }>, lsn: Lsn, current: Transaction): void {
    const before = capturedConfiguration(this.#state.configuration);
    const next = withoutDigests(message.configuration);
    for (const { schema, table, problem } of message.mended) {
      const gap = canonical({ from: formatLsn(this.#state.position.lsn), problem, reconcilable: false, scope: 'table', why: 'no baseline was taken' });
      this.#add({ type: 'gap', actor: unattributed, object: objectMembers(schema, table), extra: { gap } }, lsn, current);
      this.#state = { ...this.#state, counters: { ...this.#state.counters, gaps: this.#state.counters.gaps + 1 } };
    }
    if (before === undefined || canonical(before) !== canonical(next)) {
      this.#add({ type: before === undefined ? 'audit.start' : 'audit.config', extra: { configuration: canonical(next) } }, lsn, current);
    }
    this.#state = { ...this.#state, configuration: next };
    this.#tables = configuredTables(next);
    for (const { oid, policyDigest } of message.configuration.tables) {
      if (policyDigest === null) continue;
      // The first digest is what was found; a later one that no message announced was seen only now.
      if (this.#state.policies[oid] === undefined) this.#state = { ...this.#state, policies: { ...this.#state.policies, [oid]: policyDigest } };
      else this.#policyChange({ entry: 'policy.drift', relation: oid, digest: policyDigest, lsn, evidence: 'polled' }, current);
    }
  }

  #message(event: EventOf<'message'>): void {
    if (event.prefix !== messagePrefix) return;
    if (!event.transactional || this.#transaction === undefined) {
      this.#outside(event);
      return;
    }
    if (this.#transaction.sealed === Infinity) return;
    const read = readMessage(event.content, this.#options.key, { xid: this.#transaction.xid, lsn: event.lsn, after: this.#transaction.lastMessage });
    if (typeof read === 'string') {
      this.#forgery(event, read, this.#transaction);
      return;
    }
    this.#transaction.lastMessage = event.lsn;
    this.#apply(read, event.lsn, this.#transaction);
  }

  /** We never write such a message; it has a position of its own between transactions. */
  #outside(event: EventOf<'message'>): void {
    if (event.lsn <= this.#state.position.lsn || this.#transaction !== undefined) return;
    const { incarnation } = this.#state.position;
    const alone: Transaction = { incarnation, commitLsn: event.lsn, xid: 0, time: this.#lastTime, seq: 0, sealed: 0, lastMessage: zeroLsn, forgeries: 0 };
    this.#forgery(event, 'NotTransactional', alone);
    this.#commit(alone, event.lsn);
  }

  #change(event: EventOf<'change'>, current: Transaction): void {
    const { operation, relation, lsn, key, before, after, unsent } = event;
    const parts = [after === undefined ? '' : `"after":${after}`, before === undefined ? '' : `"before":${before}`, unsent === undefined ? '' : `"unsent":${unsent}`];
    this.#row({ operation, relation, lsn, key, change: `{${parts.filter((part) => part !== '').join(',')}}` }, current);
  }
}
