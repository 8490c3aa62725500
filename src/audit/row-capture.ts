// The hot path: one change of one row → one entry, its relation's description sealed before it where that is new.
import type { Lsn } from '../model/branded.ts';
import type { ConfiguredTable, RelationShape } from '../ports/audit-database.ts';
import { unattributed } from './actor.ts';
import { addEntry, type CaptureParts, type EventOf, isSealed, type Transaction } from './capture-parts.ts';
import { capturedConfiguration } from './captured-configuration.ts';
import { digestOf, objectMembers, relationJson } from './entry-text.ts';
import { learnedTable, operationNames, policyDigest, policyJson } from './row-facts.ts';
import { type AuditedRow, RowWriter } from './row-writer.ts';
import type { CapturedTable } from './source-progress.ts';

interface KnownShape {
  readonly shape: RelationShape;
  /** What the three below were made for. */
  key: readonly string[] | undefined;
  json: string;
  digest: string;
  /** Members of `object` after the key. */
  object: string;
}

type Change = Pick<AuditedRow, 'operation' | 'lsn'> & { readonly relation: number };

interface LastPolicy {
  readonly digest: string | undefined;
  readonly environment: string | undefined;
  readonly policyEvidence: string;
  readonly json: string;
}

export class RowCapture {
  readonly #parts: CaptureParts;
  readonly #shapes = new Map<number, KnownShape>();
  readonly #writer: RowWriter;
  #lastPolicy: LastPolicy | undefined;

  constructor(parts: CaptureParts) {
    this.#parts = parts;
    this.#writer = new RowWriter(parts.name);
  }

  describe(shape: RelationShape): void {
    this.#shapes.set(shape.oid, { shape, key: undefined, json: '', digest: '', object: '' });
  }

  /** A table that the configuration in force does not name: undefined when it is gone, so that its rows are kept without attribution. */
  learn(oid: number, shape: RelationShape, found: Pick<ConfiguredTable, 'ancestors' | 'key'> | undefined): void {
    const { progress } = this.#parts;
    const learned = learnedTable(shape, found, progress.tables);
    const configuration = capturedConfiguration(progress.configuration);
    if (learned === undefined || configuration === undefined) return;
    progress.update({ configuration: { ...configuration, tables: [...configuration.tables, { ...learned, oid }] } });
  }

  change(event: EventOf<'change'>, current: Transaction): void {
    const row = this.#audited(event, current);
    if (row !== undefined) this.#writer.write(row, event.row, this.#parts.pending);
  }

  truncate({ lsn, cascade, restartIdentity }: EventOf<'truncate'>, relation: number, current: Transaction): void {
    const row = this.#audited({ operation: 'truncate', relation, lsn }, current);
    if (row !== undefined) this.#writer.add(row, { change: `{"cascade":${cascade},"restartIdentity":${restartIdentity}}`, key: undefined }, this.#parts.pending);
  }

  /** Counts the change; undefined when it is not to be sealed, or is sealed already. */
  #audited({ operation, relation, lsn }: Change, current: Transaction): AuditedRow | undefined {
    const { progress, statements } = this.#parts;
    const table = progress.tables.get(relation);
    const known = this.#shapes.get(relation);
    if (isSealed(current) || table === undefined || known === undefined || !table.operations.includes(operationNames[operation])) {
      current.seq++;
      return undefined;
    }
    this.#sealRelation(known, table, { lsn, transaction: current });
    current.seq++;
    // A transaction says nothing of which table a statement named.
    const owner = table.context === 'Transaction' ? undefined : statements.ownerOf(relation, table.ancestors);
    const actor = table.context === 'Transaction' ? statements.ofTransaction : owner?.actor;
    progress.countRow(actor !== undefined);
    return { operation, lsn, transaction: current, actor: actor ?? unattributed, object: known.object, policy: this.#policy(policyDigest(progress.policies, owner, table)) };
  }

  /** The relation's description is sealed first where this one was not yet. */
  #sealRelation(known: KnownShape, table: CapturedTable, at: { readonly lsn: Lsn; readonly transaction: Transaction }): void {
    const { progress } = this.#parts;
    const { schema, table: name, oid } = known.shape;
    if (known.digest === '' || known.key !== table.key) {
      known.key = table.key;
      known.json = relationJson(known.shape, table.key);
      known.digest = digestOf(known.json);
      known.object = objectMembers(schema, name, known.digest);
    }
    if (progress.relations[oid] === known.digest) return;
    addEntry(this.#parts, { type: 'relation', object: known.object, extra: { relation: known.json } }, at);
    progress.update({ relations: { ...progress.relations, [oid]: known.digest } });
  }

  /** The same text for the same digests, so that what was made of it is found again. */
  #policy(digest: string | undefined): string {
    const { environment, policyEvidence } = this.#parts.progress;
    const last = this.#lastPolicy;
    if (last !== undefined && last.digest === digest && last.environment === environment && last.policyEvidence === policyEvidence) return last.json;
    const json = policyJson(digest, { environment, policyEvidence });
    this.#lastPolicy = { digest, environment, policyEvidence, json };
    return json;
  }
}
