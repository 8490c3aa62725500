// `rowseal claims sign`: a token for claims, made where the key is, for a challenge that the database gave.
import { type Command, InvalidArgumentError } from 'commander';
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { type ClaimsKey, claimsKey, signClaims } from '../model/claims-token.ts';
import { RowsealError } from '../model/errors.ts';
import { type Io, writeLine } from './io.ts';

interface SignFlags {
  readonly challenge: string;
  readonly claims: string;
  readonly keyFile?: string;
  readonly keyId?: string;
  readonly expiresIn: number;
}

const keyVariable = 'ROWSEAL_CLAIMS_KEY';
const longestSeconds = 366 * 24 * 3600;

export function registerClaims(program: Command, io: Io): void {
  program
    .command('claims')
    .description('Tokens for DatabaseConnections with claims.type Signed')
    .command('sign')
    .description('Prints a token that vouches for claims; the session that got the challenge puts it into its token setting')
    .requiredOption('--challenge <text>', 'what select rowseal.challenge() returned where the token is going to be used')
    .requiredOption('--claims <json>', 'the claims, a JSON object', parseClaims)
    .option('--key-file <file>', `a file that holds the base64 of the key; the variable ${keyVariable} when left out`)
    .option('--key-id <id>', "the key's id: the name of its entry in the Secret; the file's name when left out")
    .option('--expires-in <seconds>', 'how long the token is good at most', parseSeconds, 60)
    .action(async (flags: SignFlags) => {
      const expiresAt = new Date(Date.now() + flags.expiresIn * 1000);
      writeLine(io.stdout, signClaims({ challenge: flags.challenge, claims: flags.claims, expiresAt }, await readKey(flags, io)));
    });
}

/** A key on the command line would stand in everybody's process list. */
async function readKey({ keyFile, keyId }: SignFlags, io: Io): Promise<ClaimsKey> {
  const value = keyFile === undefined ? io.env[keyVariable] : await readKeyFile(resolve(io.cwd, keyFile));
  const id = keyId ?? (keyFile === undefined ? undefined : basename(keyFile));
  if (value === undefined || id === undefined) {
    throw new RowsealError('BadUsage', value === undefined ? 'no key is given' : 'the key has no id', { next: `give --key-file, or --key-id and the variable ${keyVariable}` });
  }
  return claimsKey(id, value, keyFile === undefined ? `the variable ${keyVariable}` : `file ${keyFile}`);
}

async function readKeyFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new RowsealError('BadUsage', 'the key file cannot be read', { object: path, next: 'check its path and rights', cause: error });
  }
}

function parseClaims(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return text;
  } catch {
    // Said below, in the words of a command line.
  }
  throw new InvalidArgumentError('it is a JSON object, such as {"tenant_id":"acme"}');
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d{1,9}$/.test(text) || seconds < 1 || seconds > longestSeconds) throw new InvalidArgumentError(`it is a number of seconds from 1 to ${longestSeconds}`);
  return seconds;
}
