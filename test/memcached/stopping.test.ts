import { expect, test } from 'vitest';
import { until } from '../waiting.js';
import { describeEngines, isRunning, megapipe, type Server, start } from './server.js';

/** How many new connections a server serves that has been told to end. */
async function countServed(server: Server): Promise<number> {
  for (let served = 0; ; served += 1) {
    try {
      const connection = await server.connect();
      await connection.ask('version');
      connection.destroy();
    } catch {
      return served;
    }
  }
}

describeEngines((engine, sanitize) => {
  for (const { signal, message } of [
    { signal: 'SIGTERM', message: '' },
    { signal: 'SIGINT', message: '' },
    { signal: 'SIGUSR1', message: 'Gracefully stopping' },
  ] as const) {
    test(`${signal} ends the server and its connections, busy or not`, async () => {
      const server = await start({ sanitize, args: megapipe(engine) });
      const idle = await server.connect();
      const slow = await server.connect();
      await slow.ask(`set big 0 0 1000000\r\n${'x'.repeat(1_000_000)}`);
      slow.socket.pause();
      slow.write('get big\r\n'.repeat(50));
      const half = await server.connect();
      half.write('set half 0 0 100000\r\nabc');
      await idle.ask('version');
      const { exitCode, output } = await server.end(signal);
      expect(exitCode).toBe(0);
      expect(output.replace(/^MegaPipe: .*\n?/, '').trim()).toBe(message);
      expect(await idle.rest()).toBe('');
    });
  }

  // A sanitized server goes on while it looks for leaks.
  if (!sanitize) {
    test('SIGTERM ends it at once, and not when its clock ticks', async () => {
      const server = await start({ args: megapipe(engine) });
      const before = (await server.stats()).time;
      // The next tick is a second away then.
      await until('the clock ticks', async () => (await server.stats()).time !== before);
      server.process.kill('SIGTERM');
      expect(await countServed(server)).toBeLessThan(100);
    });
  }

  test('the shutdown command ends it', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine), '-A'] });
    const connection = await server.connect();
    connection.write('shutdown graceful\r\n');
    expect(await connection.rest()).toBe('');
    const { exitCode } = await server.process;
    expect(exitCode).toBe(0);
    expect(isRunning(server.process.pid as number)).toBe(false);
  });
});
