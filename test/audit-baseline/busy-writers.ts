// Sessions that change a table `busy (id, v)` of some thousand rows without pause.
import { connected } from '../parts/audited-database.ts';
import type { Postgres } from '../parts/postgres.ts';

const sessions = 4;
const keys = 5000;

export async function keepWriting(server: Postgres): Promise<{ stop(): Promise<void> }> {
  const ending = new AbortController();
  const clients = await Promise.all(Array.from({ length: sessions }, () => connected(server.uri())));
  const done = Promise.all(
    clients.map(async (client, at) => {
      for (let turn = 0; !ending.signal.aborted; turn++) {
        const id = 1 + ((at * 1000 + turn * 7) % keys);
        await client.query('insert into busy values ($1, $2) on conflict (id) do update set v = excluded.v', [id, `w${at}.${turn}`]);
        await client.query('delete from busy where id = $1', [((id * 3) % keys) + 1]);
        // A key that moves; one that is taken is refused, which is fine.
        if (turn % 5 === 0) await client.query('update busy set id = id + 100000 * $2 where id = $1', [((id * 11) % keys) + 1, at + 1]).catch(() => undefined);
      }
      await client.end();
    }),
  );
  return {
    stop: async () => {
      ending.abort();
      await done;
    },
  };
}
