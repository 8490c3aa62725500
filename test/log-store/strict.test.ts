// The strict in-memory store under the contract of every LogStore, so that what is tested on it holds on the others.
import type { LogStore } from '../../src/ports/log-store.ts';
import { openStrictStore, StrictBucket } from '../parts/strict-store.ts';
import { describeLogStore } from './contract.ts';

const bucketOf = new WeakMap<LogStore, StrictBucket>();

function openAt(bucket: StrictBucket): LogStore {
  const store = openStrictStore(bucket);
  bucketOf.set(store, bucket);
  return store;
}

describeLogStore({
  name: 'Strict in-memory',
  locks: true,
  open: async () => openAt(new StrictBucket()),
  reopen: async (store) => openAt(bucketOf.get(store) ?? new StrictBucket()),
});
