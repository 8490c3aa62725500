// The hot path: one change of one row → one entry, its relation's description sealed before it where that is new.
import type { Lsn } from '../model/branded.ts';
import { attributesOf, type PresentColumns, treatmentsOf } from '../model/audited-columns.ts';
import type { DecodedTable, FoundPartition, RelationShape } from '../ports/audit-database.ts';
import { unattributed } from './actor.ts';
import { addEntry, type CaptureParts, type EventOf, isSealed, type Transaction } from './capture-parts.ts';
import { capturedConfiguration } from './captured-configuration.ts';
import { digestOf, objectMembers, relationJson } from './entry-text.ts';
import { learnedTable, operationNames, policyDigest, policyJson } from './row-facts.ts';
import { type AuditedRow, RowWriter } from './row-writer.ts';
import type { CapturedTable } from './source-progress.ts';

interface KnownShape {
  readonly shape: RelationShape;
  /** Looked up after the description, while that table was in force: undefined was not found. */
  looked: { readonly table: CapturedTable | undefined; readonly present: PresentColumns | undefined } | undefined;
  /** What the decoder knows, and the table that it was made for. */
  decoded: DecodedTable | undefined;
  decodedFor: CapturedTable | undefined;
  /** What the three below were made for. */
  describedFor: DecodedTable | undefined;
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
    this.#shapes.set(shape.oid, { shape, looked: undefined, decoded: undefined, decodedFor: undefined, describedFor: undefined, json: '', digest: '', object: '' });
  }

  /** What is known now of a table that was just described. */
  columnsAre(oid: number, present: PresentColumns | undefined): void {
    const known = this.#shapes.get(oid);
    if (known !== undefined) Object.assign(known, { looked: { table: this.#parts.progress.tables.get(oid), present }, decodedFor: undefined });
  }

  /** The same object until the configuration or the description changes. */
  tableOf(oid: number): DecodedTable | undefined {
    const table = this.#parts.progress.tables.get(oid);
    if (table?.columns === undefined) return table;
    const known = this.#shapes.get(oid);
    if (known === undefined) return table;
    if (known.decodedFor !== table || known.decoded === undefined) {
      known.decodedFor = table;
      known.decoded = { key: table.key, treatments: treatmentsOf(attributesIn(known, table), table.columns, this.#parts.hashKeys) };
    }
    return known.decoded;
  }

  /** A table that the configuration in force does not name: undefined when it is gone, so that its rows are kept without attribution. */
  learn(oid: number, shape: RelationShape, found: FoundPartition | undefined): void {
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
    this.#sealRelation(known, this.tableOf(relation) ?? table, { lsn, transaction: current });
    current.seq++;
    // A transaction says nothing of which table a statement named.
    const owner = table.context === 'Transaction' ? undefined : statements.ownerOf(relation, table.ancestors);
    const actor = table.context === 'Transaction' ? statements.ofTransaction : owner?.actor;
    progress.countRow(actor !== undefined);
    return { operation, lsn, transaction: current, actor: actor ?? unattributed, object: known.object, policy: this.#policy(policyDigest(progress.policies, owner, table)) };
  }

  /** The relation's description is sealed first where this one was not yet. */
  #sealRelation(known: KnownShape, table: DecodedTable, at: { readonly lsn: Lsn; readonly transaction: Transaction }): void {
    const { progress } = this.#parts;
    const { schema, table: name, oid } = known.shape;
    if (known.digest === '' || known.describedFor !== table) {
      known.describedFor = table;
      known.json = relationJson(known.shape, table);
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

/** A description that is older than the configuration holds for it, or another one would have followed. */
function attributesIn({ shape, looked }: KnownShape, table: CapturedTable): readonly (number | undefined)[] {
  const count = shape.columns.length;
  const none = Array.from<undefined>({ length: count });
  if (table.columns === undefined) return none;
  if (looked?.table !== table) return attributesOf(count, table.columns, undefined);
  return looked.present === undefined ? none : attributesOf(count, table.columns, looked.present);
}
