// Up to where a server's history is the sealed one, when timelines do not tell: a disk that was put back (DESIGN §5, Resuming).
import { lsn, type Lsn, zeroLsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { AuditDatabase, ChangeStream, MessageKey } from '../ports/audit-database.ts';
import type { Randomness } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { formatMicros } from './entry-text.ts';
import { messagePrefix, readMessage } from './message.ts';
import { sealedTransactions } from './sealed-history.ts';

export interface GroundParts {
  readonly database: AuditDatabase;
  readonly writer: LogWriter;
  readonly randomness: Randomness;
}

interface StreamedTransaction {
  readonly commitLsn: Lsn;
  readonly xid: number;
  readonly time: string;
}

/**
 * Reads what the slot still gives and compares it with the log, transaction by transaction: they are the same until one is missing,
 * since histories that parted never meet again. What commits before the result is common; undefined when nothing proves any of it.
 */
export async function commonGround(parts: GroundParts, { sealed, confirmed }: { sealed: SourceState; confirmed: Lsn }, signal: AbortSignal): Promise<Lsn | undefined> {
  const { database, writer, randomness } = parts;
  const key = await database.messageKey(signal);
  const stream = await database.stream(writer.origin, confirmed, signal);
  try {
    // Behind everything that was there: where it arrives, the server's history ends for us.
    const nonce = Buffer.from(randomness.bytes(16)).toString('hex');
    await database.emitMarker(writer.origin, nonce, signal);
    const streamed = new StreamedHistory(stream, { database, key, capture: database.captureName(writer.origin), nonce });
    return await compare(streamed, sealedTransactions(writer, { sealed, from: confirmed }, signal), { sealed, confirmed });
  } finally {
    await stream.close();
  }
}

async function compare(streamed: StreamedHistory, history: AsyncIterable<StreamedTransaction>, { sealed, confirmed }: { sealed: SourceState; confirmed: Lsn }): Promise<Lsn | undefined> {
  let common: Lsn | undefined;
  for await (const transaction of history) {
    let other = await streamed.next();
    while (other !== undefined && other.commitLsn < transaction.commitLsn) other = await streamed.next();
    if (other?.commitLsn !== transaction.commitLsn || other.xid !== transaction.xid || other.time !== transaction.time) break;
    // One that is sealed in part only is read again, whole.
    common = transaction.commitLsn === sealed.position.lsn && !sealed.position.complete ? transaction.commitLsn : lsn(transaction.commitLsn + 1n);
  }
  if (common !== undefined) return common;
  // Only sealed markers are ever confirmed: where one of ours stands exactly there, so did the sealed history.
  if (!streamed.begun) await streamed.next();
  return streamed.startsWithMarkerAt(confirmed) ? confirmed : undefined;
}

interface StreamedParts {
  readonly database: AuditDatabase;
  readonly key: MessageKey;
  readonly capture: string;
  /** Of the marker behind which nothing is of interest. */
  readonly nonce: string;
}

class StreamedHistory {
  readonly #transactions: AsyncGenerator<StreamedTransaction>;
  #firstMarker: Lsn | undefined;
  begun = false;

  constructor(stream: ChangeStream, parts: StreamedParts) {
    this.#transactions = this.#read(stream, parts);
  }

  async next(): Promise<StreamedTransaction | undefined> {
    this.begun = true;
    const next = await this.#transactions.next();
    return next.done === true ? undefined : next.value;
  }

  startsWithMarkerAt(place: Lsn): boolean {
    return this.#firstMarker === place;
  }

  /** Each is given at its commit, so that a marker in it is known by then. */
  async *#read(stream: ChangeStream, { database, key, capture, nonce }: StreamedParts): AsyncGenerator<StreamedTransaction> {
    const decoder = database.decoder(() => undefined);
    let current: StreamedTransaction | undefined;
    let count = 0;
    for await (const frames of stream.frames) {
      for (const frame of frames) {
        const event = decoder.decode(frame);
        if (event.type === 'begin') {
          count += 1;
          current = { commitLsn: event.commitLsn, xid: event.xid, time: formatMicros(event.commitTimeMicros) };
        } else if (event.type === 'message' && current !== undefined && event.prefix === messagePrefix) {
          const read = readMessage(event.content, key, { xid: current.xid, lsn: event.lsn, after: zeroLsn });
          if (typeof read !== 'object' || read.kind !== 'marker' || read.capture !== capture) continue;
          if (read.nonce === nonce) return;
          if (count === 1) this.#firstMarker = current.commitLsn;
        } else if (event.type === 'commit' && current !== undefined) yield current;
      }
    }
  }
}
