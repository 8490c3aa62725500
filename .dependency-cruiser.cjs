// The architecture as rules (DESIGN §8). Each says why; none has an exception list.
const only = (name, comment, from, allowed) => ({
  name,
  comment,
  severity: 'error',
  from: { path: `^src/${from}/` },
  to: { path: '^src/', pathNot: [from, ...allowed].map((folder) => `^src/${folder}/`) },
});

/** Effects come from outside: these folders decide, others act. */
const effects = '^(node:)?(fs|fs/promises|child_process|net|tls|http|https|dgram|os|worker_threads)$';

const adapters = ['postgres', 's3', 'filesystem', 'kubernetes', 'manifests', 'metrics'];
const libraryOf = {
  pg: 'postgres',
  'libpg-query': 'postgres',
  '@aws-sdk': 's3',
  '@smithy': 's3',
  '@kubernetes': 'kubernetes',
  undici: 'kubernetes',
  'prom-client': 'metrics',
};

module.exports = {
  forbidden: [
    { name: 'no-cycles', comment: 'A cycle has no first file to read, types included.', severity: 'error', from: {}, to: { circular: true } },
    only('model-is-the-ground', 'Values, schemas and errors know nobody, so everybody may know them.', 'model', []),
    only('policy-is-pure', 'Planning is decided from values alone.', 'policy', ['model']),
    only('log-is-pure', 'The log format is bytes in, bytes out.', 'log', ['model']),
    only('lint-is-pure', 'A lint looks at observed state and says what it sees.', 'lint', ['model', 'policy']),
    only('ports-are-types', 'A port speaks of values and of nothing that implements it.', 'ports', ['model', 'policy', 'log']),
    only('verify-never-reaches-the-writer', 'The verifier shares bytes with the writer, never its code.', 'verify', ['model', 'log', 'ports']),
    only('reconcile-knows-ports', 'Controllers act through ports, so one core serves Kubernetes and a folder.', 'reconcile', ['model', 'policy', 'lint', 'ports']),
    only('audit-knows-ports', 'Capture and sealing act through ports.', 'audit', ['model', 'log', 'ports']),
    ...adapters.map((adapter) =>
      only(`adapter-${adapter}-has-no-siblings`, 'An adapter is replaceable only if no other one leans on it.', `adapters/${adapter}`, ['model', 'policy', 'log', 'ports']),
    ),
    {
      name: 'ports-hold-types-only',
      comment: 'Code in a port would be shared behaviour in disguise.',
      severity: 'error',
      from: { path: '^src/ports/' },
      to: { path: '^src/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'effects-live-in-adapters-and-cli',
      comment: 'Files, sockets and processes are reached through ports, so that everything else is repeatable.',
      severity: 'error',
      from: { path: '^src/(model|policy|lint|log|verify|ports|reconcile|audit)/' },
      to: { path: effects },
    },
    ...Object.entries(libraryOf).map(([library, adapter]) => ({
      name: `${library.replace(/[^a-z-]/g, '')}-stays-in-its-adapter`,
      comment: 'A library belongs to the adapter that wraps it.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/adapters/${adapter}/` },
      to: { path: `node_modules/(@types/)?${library}/` },
    })),
    {
      name: 'declared-dependencies',
      comment: 'What is imported is declared, and tests bring nothing into what ships.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.json'], exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
