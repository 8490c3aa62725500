#!/usr/bin/env node
// The command line: one file a verb, wired here, and the exit status of DESIGN §6.
import { Command, CommanderError } from 'commander';
import { describeError } from '../model/errors.ts';
import { registerApprove } from './approve.ts';
import { registerBootstrap } from './bootstrap.ts';
import { registerClaims } from './claims.ts';
import { registerExplain } from './explain.ts';
import { registerImport } from './import.ts';
import { type ExitStatus, type Io, writeLine } from './io.ts';
import { registerLint } from './lint.ts';
import { registerLog } from './log.ts';
import { registerOperator } from './operator.ts';
import { registerPlan } from './plan.ts';
import { registerProve } from './prove.ts';
import { registerRun } from './run.ts';
import { registerVerify } from './verify.ts';
import { packageVersion } from './version.ts';

const verbs = [registerRun, registerOperator, registerPlan, registerImport, registerExplain, registerApprove, registerLint, registerVerify, registerProve, registerLog, registerClaims, registerBootstrap];

async function main(args: readonly string[], io: Io): Promise<void> {
  const program = new Command('rowseal')
    .description('Keeps row-level security equal to declared policies, and seals every change in a write-once log')
    .version(packageVersion(), '--version')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) });
  for (const register of verbs) register(program, io);
  inheritExit(program);
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    io.exit(report(error, io));
  }
}

/** Commander does not hand `exitOverride` down to commands that were added before it was set. */
function inheritExit(command: Command): void {
  for (const child of command.commands) {
    child.exitOverride().configureOutput(command.configureOutput());
    inheritExit(child);
  }
}

/** One line on stderr, never a stack trace. */
function report(error: unknown, io: Io): ExitStatus {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 3;
  if (!io.signal.aborted) writeLine(io.stderr, `rowseal: ${describeError(error)}`);
  return 3;
}

/** The process as an Io. A closed pipe, as after `| head`, ends the process quietly. */
function processIo(): Io {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
  });
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: stop.signal,
    color: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
    exit: (status) => {
      process.exitCode = status;
    },
  };
}

await main(process.argv.slice(2), processIo());
