// A TCP proxy that loses responses or refuses requests on purpose.
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';

export interface FaultyProxy {
  readonly endpoint: string;
  /** The next request with a body reaches the server; its response does not come back. */
  loseNextResponse(): void;
  /** The next requests are cut before they reach the server. */
  refuseNextRequests(count: number): void;
  stop(): Promise<void>;
}

export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let losing = false;
  let refusing = 0;

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    let lost = false;
    client.on('data', (chunk: Buffer) => {
      if (refusing > 0) {
        refusing -= 1;
        client.destroy();
        upstream.destroy();
        return;
      }
      if (losing && chunk.toString('latin1').startsWith('PUT ')) {
        losing = false;
        lost = true;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk: Buffer) => {
      // A response after the whole request: the server did its work, and nobody hears of it.
      if (lost && !chunk.toString('latin1').startsWith('HTTP/1.1 100')) {
        client.destroy();
        upstream.destroy();
      } else {
        client.write(chunk);
      }
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    endpoint: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    loseNextResponse: () => (losing = true),
    refuseNextRequests: (count) => (refusing = count),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
