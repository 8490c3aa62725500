// Schema of AuditLog: a write-once log and where it is kept (DESIGN §3, §6).
import { Type } from 'typebox';
import { byteSize, duration, integer, oneOf, rules, text } from './build.ts';
import { conditions, logGrants, observedGeneration, secretRef } from './common.ts';

type S3Shape = { bucket: string; prefix?: string; objectLock: string };

const s3 = Type.Object(
  {
    endpoint: Type.Optional(text('URL of an S3-compatible server; AWS when left out.', 512, { pattern: '^https?://.+$' })),
    region: Type.Optional(text('Region of the bucket; us-east-1 when left out.', 64)),
    bucket: text('The bucket; it must have Object Lock.', 63, { minLength: 3 }),
    prefix: Type.Optional(text('Where in the bucket the log is.', 512, { pattern: '^[A-Za-z0-9!_.*()-]+(/[A-Za-z0-9!_.*()-]+)*$' })),
    forcePathStyle: Type.Optional(Type.Boolean({ description: 'Put the bucket into the path instead of the host name.' })),
    credentialsSecretRef: Type.Optional(secretRef),
    objectLock: oneOf(['Compliance', 'Governance'], 'Mode of the retention on every object. Compliance cannot be lifted by anybody.'),
  },
  {
    description: 'S3 with Object Lock. The Secret has the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or accessKeyId and secretAccessKey.',
    ...rules(
      {
        rule: "self.bucket == oldSelf.bucket && has(self.prefix) == has(oldSelf.prefix) && (!has(self.prefix) || self.prefix == oldSelf.prefix)",
        message: 'the place of a log (bucket and prefix) is immutable',
        keeps: (self: S3Shape, oldSelf: S3Shape) => self.bucket === oldSelf.bucket && self.prefix === oldSelf.prefix,
      },
      {
        rule: "oldSelf.objectLock == 'Governance' || self.objectLock == 'Compliance'",
        message: 'objectLock cannot be weakened',
        keeps: (self: S3Shape, oldSelf: S3Shape) => oldSelf.objectLock === 'Governance' || self.objectLock === 'Compliance',
      },
    ),
  },
);

const filesystem = Type.Object(
  { path: text('Folder of the log, on a PersistentVolume or a laptop.', 1024) },
  {
    description: 'A folder.',
    ...rules({
      rule: 'self.path == oldSelf.path',
      message: 'the place of a log (path) is immutable',
      keeps: (self: { path: string }, oldSelf: { path: string }) => self.path === oldSelf.path,
    }),
  },
);

type StorageShape = { s3?: unknown; filesystem?: unknown };

const storage = Type.Object(
  { s3: Type.Optional(s3), filesystem: Type.Optional(filesystem) },
  {
    description: 'Exactly one kind of storage.',
    ...rules(
      {
        rule: 'has(self.s3) != has(self.filesystem)',
        message: 'storage has exactly one of s3 and filesystem',
        holds: (self: StorageShape) => (self.s3 !== undefined) !== (self.filesystem !== undefined),
      },
      {
        rule: 'has(self.s3) == has(oldSelf.s3)',
        message: 'the kind of storage is immutable',
        keeps: (self: StorageShape, oldSelf: StorageShape) => (self.s3 === undefined) === (oldSelf.s3 === undefined),
      },
    ),
  },
);

type RetentionShape = { days?: number; uncoveredDays?: number };

/** Days for which objects are locked when the spec does not say: seven years, and thirty days while uncovered. */
export const defaultRetention = { days: 2557, uncoveredDays: 30 } as const;

const celDays = (self: string) => `(has(${self}.retention) && has(${self}.retention.days) ? ${self}.retention.days : ${defaultRetention.days})`;
const celUncoveredDays = (self: string) =>
  `(has(${self}.retention) && has(${self}.retention.uncoveredDays) ? ${self}.retention.uncoveredDays : ${defaultRetention.uncoveredDays})`;

const retention = Type.Object(
  {
    days: Type.Optional(
      integer(`Days for which bundles, tiles, digests and checkpoints are locked; ${defaultRetention.days} when left out. It can only grow.`, 1, 36500),
    ),
    uncoveredDays: Type.Optional(
      integer(
        `Days for which journal objects and partial tiles are locked; extended while needed; ${defaultRetention.uncoveredDays} when left out. It can only grow.`,
        1,
        36500,
      ),
    ),
  },
  { description: 'How long objects are locked.' },
);

type RetentionHolder = { retention?: RetentionShape };

const days = (self: RetentionHolder) => self.retention?.days ?? defaultRetention.days;
const uncoveredDays = (self: RetentionHolder) => self.retention?.uncoveredDays ?? defaultRetention.uncoveredDays;

/** Ruled from the parent: a rule on an optional field could be passed by removing and adding it again. */
const retentionRules = [
  {
    rule: `${celDays('self')} >= ${celDays('oldSelf')}`,
    message: 'retention.days can only grow',
    keeps: (self: RetentionHolder, oldSelf: RetentionHolder) => days(self) >= days(oldSelf),
  },
  {
    rule: `${celUncoveredDays('self')} >= ${celUncoveredDays('oldSelf')}`,
    message: 'retention.uncoveredDays can only grow',
    keeps: (self: RetentionHolder, oldSelf: RetentionHolder) => uncoveredDays(self) >= uncoveredDays(oldSelf),
  },
  {
    rule: `${celUncoveredDays('self')} <= ${celDays('self')}`,
    message: `retention.uncoveredDays (${defaultRetention.uncoveredDays} when left out) is at most retention.days`,
    holds: (self: RetentionHolder) => uncoveredDays(self) <= days(self),
  },
] as const;

export const auditLogSpec = Type.Object(
  {
    origin: text('C2SP checkpoint origin: a schema-less URL that names this log for ever. It cannot be changed afterwards.', 128, {
      pattern: '^[A-Za-z0-9][A-Za-z0-9./_~-]*$',
    }),
    storage,
    retention: Type.Optional(retention),
    signer: Type.Optional(
      Type.Object(
        { secretRef },
        {
          description:
            'The Secret with the signing key, under the key signer.key; the name of the AuditLog with -log-key when left out. Generated when absent, never overwritten.',
        },
      ),
    ),
    sealing: Type.Optional(
      Type.Object(
        {
          maxDelay: Type.Optional(duration('Longest time until a change is committed to the journal. 1s when left out.')),
          maxBytes: Type.Optional(byteSize('Most bytes of entries in one batch; it is committed at once when this much waits, or 4Mi. 8Mi when left out.')),
        },
        { description: 'How changes are batched into the journal.' },
      ),
    ),
    publishing: Type.Optional(
      Type.Object(
        { maxDelay: Type.Optional(duration('Longest time until a sealed entry is under a checkpoint. 10s when left out.')) },
        { description: 'How often checkpoints are published.' },
      ),
    ),
    grants: Type.Optional(logGrants),
  },
  {
    description: 'A write-once log.',
    ...rules(
      {
        rule: 'self.origin == oldSelf.origin',
        message: 'origin is immutable: it is the name under which the log was signed',
        keeps: (self: { origin: string }, oldSelf: { origin: string }) => self.origin === oldSelf.origin,
      },
      ...retentionRules,
    ),
  },
);

export const auditLogStatus = Type.Object(
  {
    observedGeneration,
    treeSize: Type.Optional(integer('Entries under the latest checkpoint.', 0, Number.MAX_SAFE_INTEGER)),
    sealedSize: Type.Optional(integer('Entries in the journal.', 0, Number.MAX_SAFE_INTEGER)),
    rootHash: Type.Optional(Type.String({ description: 'Root of the latest checkpoint, in base64.', maxLength: 64 })),
    sealedAt: Type.Optional(Type.String({ format: 'date-time', description: 'When the last batch was committed.', maxLength: 64 })),
    publishedAt: Type.Optional(Type.String({ format: 'date-time', description: 'When the latest checkpoint was published.', maxLength: 64 })),
    verifierKey: Type.Optional(Type.String({ description: 'The C2SP verifier key that auditors need.', maxLength: 256 })),
    conditions,
  },
  { description: 'What was observed.' },
);
