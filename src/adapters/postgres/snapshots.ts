// Slots and the snapshots at their starts: the one of a slot just made is kept for whoever asks for it first.
import type { Lsn } from '../../model/branded.ts';
import { describeError } from '../../model/errors.ts';
import type { Randomness } from '../../ports/clock.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Snapshot } from '../../ports/snapshot.ts';
import { createExportingSlot } from './snapshot-slot.ts';
import { openSnapshot, type WaitingSnapshot } from './snapshot.ts';

export interface SnapshotsOptions {
  readonly target: ConnectionTarget;
  readonly versionNumber: number;
  readonly randomness: Randomness;
  readonly logger: Logger;
}

export interface Snapshots {
  /** A permanent slot of this name, which must not exist; resolves with its consistent point. */
  createSlot(name: string, signal: AbortSignal): Promise<Lsn>;
  /** At the start of that slot, if it was just made and nobody asked before; else at one of a temporary slot. */
  open(name: string, atSlotStart: boolean, signal: AbortSignal): Promise<Snapshot>;
  /** Lets go of what nobody asked for. */
  drop(): Promise<void>;
}

/** A snapshot holds back vacuum, so one that nobody asks for is not kept for long. */
const keptMs = 60_000;

export function createSnapshots({ target, versionNumber, randomness, logger }: SnapshotsOptions): Snapshots {
  let kept: { readonly name: string; readonly snapshot: WaitingSnapshot; readonly timer: NodeJS.Timeout } | undefined;
  const take = (): typeof kept => {
    const taken = kept;
    kept = undefined;
    clearTimeout(taken?.timer);
    taken?.snapshot.setWaiting(false);
    return taken;
  };
  const drop = async (): Promise<void> => take()?.snapshot.close();
  return {
    drop,
    createSlot: async (name, signal) => {
      await drop();
      const exported = await createExportingSlot({ target, name, temporary: false, failover: versionNumber >= 170000 }, signal);
      try {
        const snapshot = await openSnapshot({ target, exported, publication: name }, signal);
        // The end of the process must not wait for a reader that doesn't come.
        snapshot.setWaiting(true);
        kept = { name, snapshot, timer: setTimeout(() => void drop(), keptMs).unref() };
      } catch (error) {
        signal.throwIfAborted();
        // The slot stands; rows can be read at a later point of the WAL as well.
        logger.warn({ error: describeError(error) }, "the snapshot at the slot's start could not be kept");
      }
      return exported.lsn;
    },
    open: async (name, atSlotStart, signal) => {
      const taken = take();
      if (atSlotStart && taken?.name === name) return taken.snapshot;
      await taken?.snapshot.close();
      const temporary = `${name}_${Buffer.from(randomness.bytes(4)).toString('hex')}`;
      return openSnapshot({ target, exported: await createExportingSlot({ target, name: temporary, temporary: true, failover: false }, signal), publication: name }, signal);
    },
  };
}
