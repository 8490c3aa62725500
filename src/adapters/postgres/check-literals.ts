// Tries the literals of predicates before anything is applied: one that can't be cast would fail only when its policy is made.
import { RowsealError } from '../../model/errors.ts';
import type { LiteralCast } from '../../policy/compiled.ts';
import { errorCodeOf } from './database-error.ts';
import type { RunQuery } from './run-query.ts';

/** Runs the types' input functions alone, as making the policy would. Throws BadPredicate for the first literal that its type refuses. */
export async function checkLiterals(query: RunQuery, literals: readonly LiteralCast[]): Promise<void> {
  for (const { text, type, rule } of literals) {
    try {
      await query(`select cast(cast($1 as text) as ${type})`, [text]);
    } catch (error) {
      const code = errorCodeOf(error) ?? '';
      if (!/^(22|23|P0|XX)/.test(code)) throw error;
      throw new RowsealError('BadPredicate', `rule ${rule}: ${JSON.stringify(text)} is no value of type ${type.replaceAll('"', '')}`, {
        object: `rule ${rule}`,
        next: "write it in the database's text form",
        cause: error,
      });
    }
  }
}
