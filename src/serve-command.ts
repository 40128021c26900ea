// `muniment serve`: starts, says where it is, and ends cleanly at SIGTERM or SIGINT.
import { ConfigurationError, loadConfig, type Config } from './config/config.ts';
import type { Environment } from './config/env.ts';
import { mintToken } from './access/development-issuer.ts';
import { createLogger, type Logger } from './logger.ts';
import { startServer, type RunningServer } from './server.ts';

const HELP = 'Usage: npm start, or muniment serve\nConfigured by environment variables; see docs/configuration.md.\n';

/** A line that works when it is pasted: with a token where this server signs its own. */
async function curlLine(config: Config, fhirBase: string): Promise<string> {
  if (config.trustedIssuers.length > 0) return `curl -H "Authorization: Bearer $TOKEN" ${fhirBase}/DocumentReference`;
  const token = await mintToken({
    dataDir: config.dataDir, audience: fhirBase, scope: 'user/*.cruds', org: 'demo', user: 'Practitioner/demo', roles: ['admin'], client: 'muniment-cli', ttlSeconds: 3_600,
  });
  return `curl -H "Authorization: Bearer ${token}" ${fhirBase}/DocumentReference`;
}

function scanLine({ scan, clamav }: Config): string {
  if (scan === 'off') return 'Virus scanning is off (SCAN=off)';
  if (clamav === undefined) return scan === 'required' ? 'SCAN=required, and CLAMAV_HOST is not set: bytes are refused (503)' : 'Virus scanning is off: CLAMAV_HOST is not set';
  return `Uploads are scanned for viruses by ${clamav.host}:${clamav.port}${scan === 'required' ? '' : '; what it cannot be asked about is taken unscanned (SCAN=optional)'}`;
}

async function announce(config: Config, server: RunningServer): Promise<void> {
  const lines = [
    `Muniment is ready: ${server.fhirBase}`,
    `Data folder: ${config.dataDir}${config.databaseUrl === undefined ? ' (embedded PostgreSQL)' : ''}`,
    scanLine(config),
    `Try: ${await curlLine(config, server.fhirBase)}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function endSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}

async function serveUntilEnded(config: Config, logger: Logger): Promise<number> {
  let broken: (reason: string) => void = () => {};
  const fatal = new Promise<string>((resolve) => { broken = resolve; });
  const ended = endSignal();
  const server = await startServer(config, logger, broken);
  await announce(config, server);
  const reason = await Promise.race([ended.then(() => undefined), fatal]);
  if (reason !== undefined) process.stderr.write(`${reason}\n`);
  await server.stop();
  return reason === undefined ? 0 : 1;
}

/** What failed, and what the part outside said: whoever starts a server may know which bucket or host it was. */
function withReason({ message, cause }: Error): string {
  return cause instanceof Error && cause.message !== '' ? `${message}: ${cause.message}` : message;
}

/** Exit code: 0 after a clean end, 1 when a part failed, 2 when used or configured wrongly. */
export async function runServeCommand(flags: readonly string[], environment: Environment): Promise<number> {
  if (flags.length > 0) {
    const helped = flags.includes('--help');
    (helped ? process.stdout : process.stderr).write(HELP);
    return helped ? 0 : 2;
  }
  try {
    const config = loadConfig(environment);
    return await serveUntilEnded(config, createLogger(config.logLevel));
  } catch (error) {
    process.stderr.write(`${withReason(error as Error)}\n`);
    return error instanceof ConfigurationError ? 2 : 1;
  }
}
