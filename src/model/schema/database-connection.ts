// Schema of DatabaseConnection: where a database is, how to get in, and who may ask for what (DESIGN §3).
import { Type } from 'typebox';
import { entryName, integer, list, mapList, oneOf, rules, sqlName, text } from './build.ts';
import { claims } from './claims.ts';
import { conditions, names, namespaceSelection, observedGeneration, secretKeyRef, secretRef } from './common.ts';

const overrides = Type.Object(
  {
    host: Type.Optional(text('Host instead of the one in the Secret.', 253)),
    port: Type.Optional(integer('Port instead of the one in the Secret.', 1, 65535)),
    database: Type.Optional(sqlName('Database instead of the one in the Secret.')),
  },
  { description: 'Replaces parts of the Secret; only where the Secret is annotated rowseal.dev/allow-overrides: "true".' },
);

const tls = Type.Object(
  {
    mode: oneOf(
      ['verify-full', 'verify-ca', 'require', 'disable'],
      'How much of TLS is required. Left out: verify-full, except on a loopback address or a Unix socket, where TLS is not required.',
    ),
    caSecretRef: Type.Optional(secretKeyRef),
  },
  { description: 'Transport security.' },
);

const serverLog = Type.Object(
  {
    folder: text("Folder of the server's log files (log_directory) as the operator sees it.", 1024),
    format: oneOf(['jsonlog', 'csvlog'], 'Format of the files, as in log_destination; their names end in .json or .csv.'),
  },
  { description: "Where the server's own log is, for AuditPolicies that ask for reads." },
);

const grant = Type.Object(
  {
    name: entryName('Name of the grant.'),
    namespaces: namespaceSelection,
    kinds: Type.Optional(list(oneOf(['RowPolicy', 'AuditPolicy'], 'A kind.'), 'Kinds the grant is for; both when left out.', 2)),
    schemas: Type.Optional(names('Schemas the grant is for; all when left out.', 64)),
    tables: Type.Optional(names('Tables the grant is for; all when left out.', 256)),
    roles: Type.Optional(names('Database roles that rules and tests may name; all when left out.', 256)),
    rights: Type.Optional(
      list(
        oneOf(['SQL', 'Widen', 'RemoveUnmanaged'], 'A right.'),
        'Rights beyond plain use. SQL admits `sql` predicates; Widen admits plans that let a role see or write more; RemoveUnmanaged admits dropping policies that no RowPolicy owns.',
        3,
      ),
    ),
    sqlMayUse: Type.Optional(
      list(text('Schema and name.', 127), 'Functions, types and operators outside pg_catalog that `sql` predicates may use, such as auth.uid; with the right SQL. A function runs with the rights of whoever queries, or of its owner.', 256),
    ),
  },
  { description: 'What objects of some namespaces may ask of this database.' },
);

export const databaseConnectionSpec = Type.Object(
  {
    engine: oneOf(['PostgreSQL'], 'The database engine. It cannot be changed afterwards.'),
    connection: Type.Object(
      { secretRef, overrides: Type.Optional(overrides), tls: Type.Optional(tls) },
      { description: 'Where the database is. The Secret has the key uri, or host, port, dbname, user and password.' },
    ),
    claims: Type.Optional(claims),
    serverLog: Type.Optional(serverLog),
    exemptRoles: Type.Optional(names('Roles that keep seeing all rows, such as the one that migrates; each needs BYPASSRLS, and no table is closed before it has it.', 32)),
    grants: Type.Optional(
      mapList(grant, 'name', {
        description: 'Without any: every object of the own namespace, with Widen. SQL and RemoveUnmanaged always need a grant.',
        maxItems: 64,
      }),
    ),
  },
  {
    description: 'Where a database is, how to get in, and who may ask for what.',
    ...rules({
      rule: 'self.engine == oldSelf.engine',
      message: 'engine is immutable',
      keeps: (self: { engine: string }, oldSelf: { engine: string }) => self.engine === oldSelf.engine,
    }),
  },
);

export const databaseConnectionStatus = Type.Object(
  {
    observedGeneration,
    serverVersion: Type.Optional(Type.String({ description: 'Version of the server.', maxLength: 64 })),
    systemIdentifier: Type.Optional(Type.String({ description: "The cluster's system identifier.", maxLength: 32 })),
    database: Type.Optional(Type.String({ description: 'Name of the database.', maxLength: 63 })),
    capabilities: Type.Optional(
      Type.Array(oneOf(['LogicalDecoding', 'EventTriggers', 'BypassRLS', 'CreateRole', 'Superuser'], 'A capability.'), {
        description: 'What the server and the rights of our role allow.',
        maxItems: 16,
      }),
    ),
    exemptRoles: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({ description: 'The role.', maxLength: 63 }),
            bypassesRowSecurity: Type.Boolean({ description: 'Whether it sees all rows: BYPASSRLS, or superuser.' }),
          },
          { description: 'One exempt role.' },
        ),
        { description: 'The exempt roles as the server has them.', maxItems: 32 },
      ),
    ),
    dependants: Type.Optional(
      Type.Object(
        {
          total: integer('How many objects use this connection.', 0, 1_000_000),
          names: Type.Array(Type.String({ maxLength: 600 }), { description: 'The first of them, as Kind namespace/name.', maxItems: 32 }),
        },
        { description: 'Objects that use this connection; it is not deleted before them.' },
      ),
    ),
    conditions,
  },
  { description: 'What was observed.' },
);
