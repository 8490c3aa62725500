// The claims half of a database: what checks signed claims there, and its keys (DESIGN §5, Signed claims).
import type { ClaimsKey } from '../model/claims-token.ts';

export interface ClaimsDatabase {
  /**
   * Makes the keys in the database equal to these; what is so already is not written. Tokens under a key that is taken away
   * are refused from then on. Throws DatabasePrivilege, saying which SQL helps, and DatabaseStatement.
   */
  install(keys: readonly ClaimsKey[], signal: AbortSignal): Promise<InstalledClaims>;
}

export interface InstalledClaims {
  /** Roles that can read the keys in the database, beside superusers. */
  readonly readers: readonly string[];
}
