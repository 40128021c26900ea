import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineUnavailable } from '../../scripts/engines/engine.ts';
import { endProcess, isPortTaken, launchDetached, logTail, processFiles, programOnPath, runningProcess, runToEnd, type ProcessFiles } from '../../scripts/engines/engine-process.ts';
import { processIdentity } from '../../src/embedded/process-identity.ts';

let folder: string;
let files: ProcessFiles;
const started: number[] = [];

const waiting = { program: process.execPath, args: ['-e', 'console.log("up"); setInterval(() => {}, 1000)'] };

async function launch(): Promise<number> {
  const pid = await launchDetached(waiting, files);
  started.push(pid);
  return pid;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muniment-engines-'));
  files = processFiles(folder, 'waiting');
});
afterEach(() => {
  for (const pid of started.splice(0)) if (processIdentity(pid) !== undefined) process.kill(pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

describe('the process of an engine', () => {
  it('is found again by its file, and ended', async () => {
    const pid = await launch();
    expect(runningProcess(files)).toBe(pid);
    expect(await endProcess(files, 5_000)).toBe(pid);
    expect(processIdentity(pid)).toBeUndefined();
    expect(runningProcess(files)).toBeUndefined();
    expect(await endProcess(files, 5_000)).toBeUndefined();
  });

  it('is not confused with a later process of the same id, which is left alone', async () => {
    const pid = await launch();
    writeFileSync(files.pidFile, JSON.stringify({ ...(JSON.parse(readFileSync(files.pidFile, 'utf8')) as object), started: 'another boot:1' }));
    expect(runningProcess(files)).toBeUndefined();
    expect(await endProcess(files, 1_000)).toBeUndefined();
    expect(processIdentity(pid)).toBeDefined();
  });

  it('leaves its last words in a log that each start begins anew', async () => {
    await launch();
    while (logTail(files) === '') await new Promise((resolve) => { setTimeout(resolve, 20); });
    await endProcess(files, 5_000);
    await launchDetached({ program: process.execPath, args: ['-e', 'console.error("cannot open")'] }, files);
    while (logTail(files) === '') await new Promise((resolve) => { setTimeout(resolve, 20); });
    expect(logTail(files)).toBe('cannot open');
  });
});

describe('what an engine needs of the machine', () => {
  it('names a program that is missing together with what to install', () => {
    expect(() => programOnPath('no-such-program', 'install it so')).toThrow(new EngineUnavailable('no-such-program is not installed (install it so)'));
    expect(programOnPath('sh', '')).toMatch(/\/sh$/);
  });

  it('reports a failed build by the line that says why', async () => {
    const script = 'console.log("Downloading"); console.error("ERROR: no route to host"); console.log("bye"); process.exit(3)';
    await expect(runToEnd({ program: process.execPath, args: ['-e', script] }, 'building it')).rejects.toThrow('building it failed: ERROR: no route to host');
  });

  it('sees whether a port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await isPortTaken(port)).toBe(true);
    server.close();
    await once(server, 'close');
    expect(await isPortTaken(port)).toBe(false);
  });
});
