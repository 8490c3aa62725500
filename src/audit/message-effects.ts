// What our own messages in the WAL bring about: statements, markers, policy digests, the configuration in force. What is not ours is a forgery.
import { formatLsn } from '../model/branded.ts';
import { canonical, unattributed } from './actor.ts';
import { addEntry, type CaptureParts, type EventOf, isSealed, type MessageAt, type Transaction } from './capture-parts.ts';
import { capturedConfiguration } from './captured-configuration.ts';
import { configure } from './configuration-effects.ts';
import { applyDdl, applyEnvironment } from './ddl-effects.ts';
import { digestOf, objectMembers } from './entry-text.ts';
import { type ForgeryReason, type Message, readMessage, statementPrefix } from './message.ts';
import type { StatementMessage } from './statement-message.ts';

interface PolicyChange {
  readonly entry: 'policy.apply' | 'policy.drift';
  readonly relation: number;
  readonly digest: string | null;
  readonly user?: string;
  readonly pid?: number;
  readonly evidence: 'wal' | 'polled';
  /** Of a polled change: the WAL in which it happened. */
  readonly range?: { readonly from: string | null; readonly to: string };
}

/** Somebody who writes forged messages in a loop gets this many entries a transaction, and one that counts the rest. */
const maxForgeriesEach = 16;

/** A transactional message with our prefix, in a transaction that is not sealed yet. */
export function applyMessage(parts: CaptureParts, event: EventOf<'message'>, transaction: Transaction): void {
  const read = event.prefix === statementPrefix ? readPlain(parts, event) : readMessage(event.content, parts.key, { xid: transaction.xid, lsn: event.lsn, after: transaction.lastMessage, readStatement: parts.readStatement });
  if (read === undefined) return;
  if (typeof read === 'string') {
    addForgery(parts, { event, reason: read }, transaction);
    return;
  }
  transaction.lastMessage = event.lsn;
  if (read.kind === 'open') parts.statements.open(read, read.nested);
  else if (read.kind === 'close') parts.statements.close(read.relation, read.operation);
  else if (read.kind === 'begin') parts.statements.begin(read.actor);
  else if (read.kind === 'ddl') applyDdl(parts, read, { lsn: event.lsn, transaction });
  else if (!isSealed(transaction)) settle(parts, read, { lsn: event.lsn, transaction });
}

/**
 * Without a proof of its own: believed while nobody but us may write messages, which counts from the place where that was said. What was
 * written before may be committed long after: a prepared transaction keeps it.
 */
function readPlain({ progress, readStatement }: CaptureParts, { content, lsn }: EventOf<'message'>): StatementMessage | ForgeryReason | undefined {
  const configuration = capturedConfiguration(progress.configuration);
  // Before the first configuration it is another capture's affair.
  if (configuration === undefined) return undefined;
  const early = progress.plainSince !== undefined && lsn <= progress.plainSince;
  return configuration.proof === 'Privilege' && !early ? (readStatement(content) ?? 'Malformed') : 'Unproven';
}

export function addForgery(parts: CaptureParts, { event, reason }: { readonly event: EventOf<'message'>; readonly reason: ForgeryReason }, transaction: Transaction): void {
  transaction.forgeries++;
  if (isSealed(transaction) || transaction.forgeries > maxForgeriesEach) return;
  const about = { bytes: event.content.length, digest: digestOf(event.content), prefix: event.prefix, reason };
  addEntry(parts, { type: 'forgery', actor: unattributed, extra: { forgery: canonical(about) } }, { lsn: event.lsn, transaction });
}

/** At the commit: how many forgeries got no entry of their own. */
export function addFurtherForgeries(parts: CaptureParts, at: MessageAt): void {
  const further = at.transaction.forgeries - maxForgeriesEach;
  if (further > 0) addEntry(parts, { type: 'forgery', actor: unattributed, extra: { forgery: canonical({ further }) } }, at);
}

function settle(parts: CaptureParts, message: Exclude<Message, StatementMessage | { kind: 'ddl' }>, at: MessageAt): void {
  if (message.kind === 'digest') changePolicy(parts, { ...message, evidence: 'wal' }, at);
  else if (message.kind === 'proof') setProof(parts, message.proof, at);
  else if (message.capture !== parts.captureName) return;
  else if (message.kind === 'marker') setMarker(parts, message, at);
  else if (message.kind === 'environment') applyEnvironment(parts, message.report, at);
  else {
    configure(parts, message, at);
    observePolicies(parts, message, at);
  }
}

/** Losing the privilege is drift, and says so in the log. */
function setProof(parts: CaptureParts, proof: 'Privilege' | 'Hmac', at: MessageAt): void {
  const { progress } = parts;
  const configuration = capturedConfiguration(progress.configuration);
  if (configuration === undefined || configuration.proof === proof) return;
  const next = { ...configuration, proof };
  addEntry(parts, { type: 'audit.config', actor: unattributed, extra: { configuration: canonical(next) } }, at);
  progress.update({ configuration: next, ...(proof === 'Privilege' ? { plainSince: formatLsn(at.lsn) } : {}) });
}

function setMarker({ progress }: CaptureParts, { nonce, proven }: Extract<Message, { kind: 'marker' }>, { transaction }: MessageAt): void {
  progress.update({ marker: { nonce, commitLsn: transaction.commitLsn, xid: transaction.xid }, ...(proven === undefined ? {} : { proven }) });
}

function changePolicy(parts: CaptureParts, change: PolicyChange, at: MessageAt): void {
  const { progress } = parts;
  const table = progress.tables.get(change.relation);
  if (table === undefined || change.digest === null || change.digest === progress.policies[change.relation]) return;
  const policy = canonical({ digest: change.digest, evidence: change.evidence, previous: progress.policies[change.relation] ?? null, range: change.range });
  // Its one author is known, but neither role nor claims: this is no statement on the rows.
  const actor = change.user === undefined ? unattributed : canonical({ claimsVerified: false, effective: change.user, pid: change.pid, role: change.user, user: change.user });
  addEntry(parts, { type: change.entry, actor, object: objectMembers(table.schema, table.table), policy }, at);
  progress.update({ policies: { ...progress.policies, [change.relation]: change.digest } });
}

function observePolicies(parts: CaptureParts, { configuration, since }: Extract<Message, { kind: 'configuration' }>, at: MessageAt): void {
  const { progress } = parts;
  for (const { oid, policyDigest } of configuration.tables) {
    if (policyDigest === null) continue;
    // The first digest is what was found; a later one that no message announced was seen only now.
    if (progress.policies[oid] === undefined) progress.update({ policies: { ...progress.policies, [oid]: policyDigest } });
    else changePolicy(parts, { entry: 'policy.drift', relation: oid, digest: policyDigest, evidence: 'polled', range: { from: since ?? null, to: formatLsn(at.lsn) } }, at);
  }
}
