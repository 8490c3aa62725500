// A row's entry, byte for byte: what stays the same over a statement, a relation or a transaction is prepared once (DESIGN §7).
import { maxEntryBytes } from '../log/bundle.ts';
import { ByteWriter } from '../log/byte-writer.ts';
import { formatLsn, type Lsn } from '../model/branded.ts';
import type { RowBytes } from '../ports/audit-database.ts';
import { type EntryMembers, entryText, type EntryTransaction, type SourceName } from './entry-text.ts';
import type { PendingBatch } from './pending-batch.ts';

/** Everything of a row's entry but the row; the texts are canonical JSON. */
export interface AuditedRow {
  readonly operation: 'insert' | 'update' | 'delete' | 'truncate';
  readonly lsn: Lsn;
  readonly transaction: EntryTransaction & { readonly seq: number };
  readonly actor: string;
  /** Members of `object` after the key. */
  readonly object: string;
  readonly policy: string;
}

/** Written as text once, and as bytes from the second time on: most pieces serve many rows, or just one. */
class Piece {
  readonly #text: string;
  #used = false;
  #bytes: Buffer | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  write(writer: ByteWriter): void {
    if (this.#bytes !== undefined) writer.bytes(this.#bytes);
    else if (this.#used) writer.bytes((this.#bytes = Buffer.from(this.#text)));
    else {
      writer.text(this.#text);
      this.#used = true;
    }
  }
}

const noPiece = new Piece('');
const openKey = Buffer.from(',"object":{"key":');
const openObject = Buffer.from(',"object":{');
const comma = 0x2c;
const slash = 0x2f;
const seqLabel = Buffer.from('","seq":');

export class RowWriter {
  readonly #name: SourceName;
  /** What each piece was last made of. */
  #made: Partial<Pick<AuditedRow, 'actor' | 'object' | 'policy' | 'operation' | 'transaction'>> = {};
  #actor = noPiece;
  #object = noPiece;
  #policyAndSource = noPiece;
  #end = noPiece;

  constructor(name: SourceName) {
    this.#name = name;
  }

  write(row: AuditedRow, bytes: RowBytes, pending: PendingBatch): void {
    this.#prepare(row);
    const writer = pending.begin();
    this.#actor.write(writer);
    bytes.writeChange(writer);
    if (bytes.hasKey()) {
      writer.bytes(openKey);
      bytes.writeKey(writer);
      writer.byte(comma);
    } else writer.bytes(openObject);
    this.#object.write(writer);
    this.#policyAndSource.write(writer);
    writer.hex(Number(row.lsn >> 32n));
    writer.byte(slash);
    writer.hex(Number(row.lsn & 0xffff_ffffn));
    writer.bytes(seqLabel);
    writer.decimal(row.transaction.seq);
    this.#end.write(writer);
    if (!pending.end()) this.add(row, textsOf(bytes), pending);
  }

  /** The plain way, for rows that are rare or too large for a leaf. */
  add({ operation, actor, object, policy, transaction, lsn }: AuditedRow, row: { readonly change: string; readonly key: string | undefined }, pending: PendingBatch): void {
    const members: EntryMembers = { type: `row.${operation}`, actor, change: row.change, key: row.key, object, policy };
    const { text, blobs } = entryText(members, { name: this.#name, transaction, lsn, seq: transaction.seq });
    pending.add(text, blobs);
  }

  #prepare(row: AuditedRow): void {
    const { actor, object, policy, transaction, operation } = row;
    const made = this.#made;
    if (made.actor !== actor) this.#actor = new Piece(`{"actor":${actor},"change":`);
    if (made.object !== object) this.#object = new Piece(`${object}},"policy":`);
    if (made.policy !== policy || made.transaction !== transaction) this.#policyAndSource = new Piece(this.#openSource(policy, transaction));
    if (made.operation !== operation || made.transaction !== transaction) this.#end = new Piece(this.#closeSource(operation, transaction));
    this.#made = row;
  }

  #openSource(policy: string, { commitLsn, incarnation }: EntryTransaction): string {
    return `${policy},"source":{"commitLsn":"${formatLsn(commitLsn)}","database":${JSON.stringify(this.#name.database)},"incarnation":${incarnation},"lsn":"`;
  }

  #closeSource(operation: AuditedRow['operation'], { xid, time, timeline = this.#name.timeline }: EntryTransaction): string {
    return `,"system":"${this.#name.system}","timeline":${timeline},"xid":${xid}},"time":"${time}","type":"row.${operation}","v":1}`;
  }
}

function textsOf(bytes: RowBytes): { readonly change: string; readonly key: string | undefined } {
  const change = new ByteWriter(maxEntryBytes);
  bytes.writeChange(change);
  const key = new ByteWriter(maxEntryBytes);
  if (bytes.hasKey()) bytes.writeKey(key);
  return { change: change.give(change.kept).toString(), key: key.kept === 0 ? undefined : key.give(key.kept).toString() };
}
