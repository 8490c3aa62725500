// The hot path: one change of one row → one entry, its relation's description sealed before it where that is new.
import type { Lsn } from '../model/branded.ts';
import type { ConfiguredTable, RelationShape } from '../ports/audit-database.ts';
import { unattributed } from './actor.ts';
import { addEntry, type CaptureParts, type EventOf, isSealed, type Transaction } from './capture-parts.ts';
import { capturedConfiguration } from './captured-configuration.ts';
import { digestOf, objectMembers, relationJson } from './entry-text.ts';
import { learnedTable, operationNames, policyJson } from './row-facts.ts';

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

export class RowCapture {
  readonly #parts: CaptureParts;
  readonly #shapes = new Map<number, KnownShape>();

  constructor(parts: CaptureParts) {
    this.#parts = parts;
  }

  describe(shape: RelationShape): void {
    this.#shapes.set(shape.oid, { shape });
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
    const { operation, relation, lsn, key, before, after, unsent } = event;
    const parts = [after === undefined ? '' : `"after":${after}`, before === undefined ? '' : `"before":${before}`, unsent === undefined ? '' : `"unsent":${unsent}`];
    this.#row({ operation, relation, lsn, key, change: `{${parts.filter((part) => part !== '').join(',')}}` }, current);
  }

  truncate(event: EventOf<'truncate'>, relation: number, current: Transaction): void {
    const change = `{"cascade":${event.cascade},"restartIdentity":${event.restartIdentity}}`;
    this.#row({ operation: 'truncate', relation, lsn: event.lsn, change, key: undefined }, current);
  }

  #row(change: RowChange, current: Transaction): void {
    const { progress, statements } = this.#parts;
    const table = progress.tables.get(change.relation);
    const shape = this.#shapes.get(change.relation)?.shape;
    if (isSealed(current) || table === undefined || shape === undefined || !table.operations.includes(operationNames[change.operation])) {
      current.seq++;
      return;
    }
    const relation = this.#relationDigest(change.relation, change.lsn, current);
    current.seq++;
    const owner = statements.ownerOf(change.relation, table.ancestors);
    progress.countRow(owner !== undefined);
    const members = {
      type: `row.${change.operation}`,
      actor: owner?.actor ?? unattributed,
      change: change.change,
      key: change.key,
      object: objectMembers(shape.schema, shape.table, relation),
      policy: policyJson(progress.policies, owner, table),
    };
    addEntry(this.#parts, members, { lsn: change.lsn, transaction: current });
  }

  /** Digest of the relation's description, sealed first where this one was not yet. */
  #relationDigest(oid: number, lsn: Lsn, transaction: Transaction): string {
    const { progress } = this.#parts;
    const known = this.#shapes.get(oid);
    if (known === undefined) return '';
    const key = progress.tables.get(oid)?.key;
    if (known.digest === undefined || known.key !== key) {
      known.json = relationJson(known.shape, key ?? []);
      known.digest = digestOf(known.json);
      known.key = key;
    }
    if (progress.relations[oid] !== known.digest) {
      const object = objectMembers(known.shape.schema, known.shape.table, known.digest);
      addEntry(this.#parts, { type: 'relation', object, extra: { relation: known.json ?? '' } }, { lsn, transaction });
      progress.update({ relations: { ...progress.relations, [oid]: known.digest } });
    }
    return known.digest;
  }
}
