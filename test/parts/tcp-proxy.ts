// A way to a server that can break as networks do: connections are reset, cut in the middle of a message, held still, and split into odd pieces.
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

export interface TcpProxy {
  readonly port: number;
  /** Resets every connection, in both directions; later ones get through. */
  reset(): void;
  /** Lets this many bytes more through, whatever the direction, and then resets every connection. */
  cutAfter(bytes: number): void;
  /** Holds everything back, new connections too, until the function it gives is called. */
  stall(): () => void;
  stop(): Promise<void>;
}

export interface TcpProxyOptions {
  /** Size of the next piece that is sent by itself; whole chunks when left out. */
  readonly pieceBytes?: () => number;
}

export async function startTcpProxy(targetPort: number, options: TcpProxyOptions = {}): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const weather: Weather = { stalled: undefined, bytesLeft: Infinity };
  const reset = (): void => {
    weather.bytesLeft = Infinity;
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      // What breaks it closes it, and the listener above closes the other side.
      void forward(socket, other, { options, weather, reset }).catch(() => socket.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    reset,
    cutAfter: (bytes) => void (weather.bytesLeft = bytes),
    stall: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      weather.stalled = promise;
      return () => {
        weather.stalled = undefined;
        resolve();
      };
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      reset();
      await closed;
    },
  };
}

interface Weather {
  stalled: Promise<void> | undefined;
  bytesLeft: number;
}

interface Way {
  readonly options: TcpProxyOptions;
  readonly weather: Weather;
  readonly reset: () => void;
}

async function forward(from: Socket, to: Socket, { options, weather, reset }: Way): Promise<void> {
  for await (const chunk of from as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; ) {
      await weather.stalled;
      const piece = chunk.subarray(at, at + Math.min(options.pieceBytes?.() ?? chunk.length, weather.bytesLeft));
      at += piece.length;
      weather.bytesLeft -= piece.length;
      if (piece.length > 0 && !to.write(piece)) await once(to, 'drain');
      if (weather.bytesLeft <= 0) return reset();
      // In a turn of its own, so that the receiver sees it by itself.
      if (options.pieceBytes !== undefined) await turn();
    }
  }
  to.end();
}
