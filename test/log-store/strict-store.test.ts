// The in-memory store of other tests, under the contract of every LogStore: a stand-in that is laxer would prove nothing.
import type { LogStore } from '../../src/ports/log-store.ts';
import { openStrictStore, StrictBucket } from '../parts/strict-store.ts';
import { describeLogStore } from './contract.ts';

const bucketOf = new WeakMap<LogStore, StrictBucket>();

function openOn(bucket: StrictBucket): LogStore {
  const store = openStrictStore(bucket);
  bucketOf.set(store, bucket);
  return store;
}

describeLogStore({
  name: 'Memory',
  locks: true,
  open: async () => openOn(new StrictBucket()),
  reopen: async (store) => openOn(bucketOf.get(store) ?? new StrictBucket()),
});
