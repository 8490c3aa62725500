// `rowseal approve`: lets one plan of a RowPolicy through that waits for an approval, where no API server guards who approves.
import type { Command } from 'commander';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { StateFolder } from '../adapters/manifests/state-folder.ts';
import { counted } from '../model/counted.ts';
import { RowsealError } from '../model/errors.ts';
import { describeObject, type ObjectKey, type RowPolicyStatus } from '../model/kinds.ts';
import { type Io, writeLine } from './io.ts';
import { rowLines } from './row-changes.ts';

interface ApproveOptions {
  readonly manifests: string;
  readonly state?: string;
  readonly namespace: string;
  readonly digest?: string;
}

export function registerApprove(program: Command, io: Io): void {
  program
    .command('approve')
    .description('Approves the plan that a RowPolicy of `rowseal run` waits with; without --digest it only shows the plan')
    .argument('<name>', 'name of the RowPolicy')
    .requiredOption('--manifests <folder>', 'the folder that `rowseal run` runs on')
    .option('--state <folder>', 'its state folder; .rowseal inside the manifests folder when left out')
    .option('-n, --namespace <namespace>', 'namespace of the RowPolicy', 'default')
    .option('--digest <digest>', 'the digest of the plan that was read and is approved')
    .addHelpText('after', '\nWhoever may write the state folder may approve. Exit status: 0 approved, or shown; 3 there is no such plan.')
    .action((name: string, options: ApproveOptions) => {
      approve({ name, namespace: options.namespace }, options, io);
      io.exit(0);
    });
}

function approve(key: ObjectKey, { manifests, state, digest }: ApproveOptions, io: Io): void {
  const folder = new StateFolder(resolve(io.cwd, state ?? join(manifests, '.rowseal')));
  const object = describeObject('RowPolicy', key);
  const record = folder.records().find(({ kind, name, namespace }) => kind === 'RowPolicy' && name === key.name && namespace === key.namespace);
  if (record === undefined) throw new RowsealError('BadReference', `${object} is not known in ${folder.path}`, { next: 'give its namespace with -n, and the folder that `rowseal run` runs on' });
  const { plan } = folder.status('RowPolicy', key, record.uid) as RowPolicyStatus;
  if (plan === undefined || plan.total === 0) throw new RowsealError('BadUsage', `${object} has no plan to approve`, { next: 'read its status' });
  if (digest === undefined) {
    writeLine(io.stdout, shown(object, plan));
    writeLine(io.stderr, `rowseal: nothing is approved; approve it with --digest ${plan.digest}`);
    return;
  }
  if (digest !== plan.digest) throw new RowsealError('BadUsage', `the plan of ${object} is another one now: ${plan.digest}`, { next: 'read it and approve it, if it is what you mean' });
  folder.approve(key, { digest, by: userInfo().username });
  writeLine(io.stdout, `${object}: plan ${digest} is approved`);
}

function shown(object: string, { digest, total, steps, rows = [], notCounted = [] }: NonNullable<RowPolicyStatus['plan']>): string {
  const statements = steps.map((step) => `-- ${step.widening ? 'WIDENING: ' : ''}${step.why}\n${step.sql};`);
  return [`${object}: plan ${digest}, ${counted(total, 'statement')}`, ...statements, ...rowLines({ changes: rows, notCounted }).map((line) => `-- ${line}`)].join('\n');
}
