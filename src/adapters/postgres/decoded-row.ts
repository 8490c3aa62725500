// One changed row of a message, read into places that are used again, and written where its bytes belong.
import type { ByteWriter } from '../../log/byte-writer.ts';
import type { RowBytes } from '../../ports/audit-database.ts';
import { type ByteReader, malformed } from './byte-reader.ts';
import { type RelationPlan, Tuple, unsentJson } from './tuple-json.ts';

type Kind = 'I' | 'U' | 'D';

const oldKey = 0x4b;
const oldRow = 0x4f;
const newRow = 0x4e;
const openAfter = Buffer.from('{"after":');
const openBefore = Buffer.from('{"before":');
const nextBefore = Buffer.from(',"before":');
const none: readonly number[] = [];

export class DecodedRow implements RowBytes {
  readonly #before = new Tuple();
  readonly #after = new Tuple();
  #source: Buffer = Buffer.alloc(0);
  #plan: RelationPlan | undefined;
  #hasAfter = false;
  /** Positions that the old row or key holds; undefined without one. */
  #beforePositions: readonly number[] | undefined;

  /** Reads what follows the relation's OID. Throws BadLogData. */
  read(kind: Kind, reader: ByteReader, plan: RelationPlan): void {
    this.#plan = plan;
    this.#source = reader.buffer;
    this.#hasAfter = kind !== 'D';
    this.#beforePositions = undefined;
    let part = reader.u8();
    if (part === oldKey || part === oldRow) {
      if (kind === 'I') throw malformed('an insert with an old row');
      this.#before.read(reader, plan, undefined);
      // In a key tuple the other columns are sent as NULL whatever they hold.
      this.#beforePositions = part === oldKey ? plan.identity : plan.sorted;
      part = kind === 'U' ? reader.u8() : 0;
    }
    if (kind === 'D' ? this.#beforePositions === undefined : part !== newRow) throw malformed(`part ${part} of a change`);
    if (this.#hasAfter) this.#after.read(reader, plan, this.#beforePositions === plan.sorted ? this.#before : undefined);
  }

  hasKey(): boolean {
    const key = this.#plan?.key ?? none;
    for (let index = 0; index < key.length; index++) {
      const position = key[index] ?? 0;
      if (!this.#hasAfter && this.#beforePositions !== this.#plan?.sorted && this.#beforePositions?.includes(position) !== true) return false;
      if (!(this.#hasAfter ? this.#after : this.#before).sent(position)) return false;
    }
    return key.length > 0;
  }

  writeKey(writer: ByteWriter): void {
    const plan = this.#plan;
    if (plan !== undefined) (this.#hasAfter ? this.#after : this.#before).write(writer, this.#source, { plan, positions: plan.key });
  }

  writeChange(writer: ByteWriter): void {
    const plan = this.#plan;
    if (plan === undefined) return;
    if (this.#hasAfter) {
      writer.bytes(openAfter);
      this.#after.write(writer, this.#source, { plan, positions: plan.sorted });
    }
    if (this.#beforePositions !== undefined) {
      writer.bytes(this.#hasAfter ? nextBefore : openBefore);
      this.#before.write(writer, this.#source, { plan, positions: this.#beforePositions });
    }
    const unsent = this.#hasAfter ? unsentJson(this.#after, plan) : undefined;
    if (unsent !== undefined) writer.text(`,"unsent":${unsent}`);
    writer.byte(0x7d);
  }
}
