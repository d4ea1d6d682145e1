import { createServer } from 'node:net';

/**
 * A port of 127.0.0.1 that nobody uses at the moment, for a server that has to be started again on the same one.
 * @param preferred this one, if it is free
 */
export function freePort(preferred = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const listener = createServer();
    listener.once('error', (error) => (preferred === 0 ? reject(error) : resolve(freePort())));
    listener.listen(preferred, '127.0.0.1', () => {
      const { port } = listener.address() as { port: number };
      listener.close((error) => (error ? reject(error) : resolve(port)));
    });
  });
}
