// Ends what the setup started; the engines are left running for the next run. Says in one line what was left out.
export default async function globalTeardown(): Promise<void> {
  await globalThis.testPostgres?.stop();
  const leftOut = process.env['TEST_LEFT_OUT'];
  if (leftOut !== undefined) process.stderr.write(`\n${leftOut}\n`);
}
