import { expect, test } from 'vitest';
import { describeEngines, isRunning, megapipe, start } from './server.js';

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
      expect(output.trim()).toBe(message);
      expect(await idle.rest()).toBe('');
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
