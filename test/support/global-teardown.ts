// Ends what the setup started; the engines are left running for the next run. Says in one line what was left out.
import { rm } from 'node:fs/promises';

export default async function globalTeardown(): Promise<void> {
  await globalThis.testPostgres?.stop();
  if (globalThis.testFolder !== undefined) await rm(globalThis.testFolder, { recursive: true, force: true });
  const leftOut = process.env['TEST_LEFT_OUT'];
  if (leftOut !== undefined) process.stderr.write(`\n${leftOut}\n`);
}
