// Azurite, the emulator of Azure Blob Storage, for one test file: a process of its own, on a folder and a port of its own.
import { BlobServiceClient, StorageSharedKeyCredential, type ContainerClient } from '@azure/storage-blob';
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestAzurite {
  /** Of the account. */
  endpoint: string;
  account: string;
  key: string;
  /** Makes a container; answers Microsoft's own client for it. */
  makeContainer(): Promise<ContainerClient>;
  stop(): Promise<void>;
}

const PROGRAM = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');

export async function startAzurite(): Promise<TestAzurite> {
  const home = await mkdtemp(join(tmpdir(), 'muniment-azurite-'));
  const account = 'muniment';
  const key = randomBytes(64).toString('base64');
  const child = spawn(process.execPath, [PROGRAM, '--blobHost', '127.0.0.1', '--blobPort', '0', '--location', home, '--disableTelemetry', '--skipApiVersionCheck', '--silent'], {
    env: { ...process.env, AZURITE_ACCOUNTS: `${account}:${key}` }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  const listening = (async () => {
    let said = '';
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      said += piece.toString();
      const address = /successfully listens on (http:\/\/\S+)/.exec(said)?.[1];
      if (address !== undefined) return address;
    }
    throw new Error(`Azurite did not start: ${said}`);
  })();
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(home, { recursive: true, force: true });
  };
  const endpoint = `${await listening.catch(async (error: unknown) => { await stop(); throw error; })}/${account}`;
  const service = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(account, key));
  return {
    endpoint, account, key,
    async makeContainer() {
      const container = service.getContainerClient(`content-${randomUUID()}`);
      await container.create();
      return container;
    },
    stop,
  };
}
