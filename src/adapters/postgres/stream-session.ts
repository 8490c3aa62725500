// What a walsender's session must have fixed before it streams: everything that changes how a value is written (DESIGN §7: exact and stable).
import type pg from 'pg';

/** They win over what the role, the database and the server prefer. */
const pinned = [
  ['DateStyle', 'ISO, YMD'],
  ['IntervalStyle', 'postgres'],
  ['TimeZone', 'UTC'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
  ['lc_monetary', 'C'],
  ['quote_all_identifiers', 'off'],
  // The reg* types name what is not in the path with its schema.
  ['search_path', 'pg_catalog'],
  // Changes no value: while the log is away nothing is read, and only our own report every ten seconds says that we live.
  ['wal_sender_timeout', '60s'],
] as const;

/**
 * A server without an encoding refuses to send bytes that are no UTF-8 to a client that wants UTF-8, and so would never get past
 * them; there it is asked for the bytes as they are.
 */
export async function prepareStream(client: pg.Client): Promise<void> {
  for (const [name, value] of pinned) await client.query(`select pg_catalog.set_config('${name}', '${value}', false)`);
  await client.query(`select pg_catalog.set_config('client_encoding', 'SQL_ASCII', false) where pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'`);
}
