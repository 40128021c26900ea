// ClamAV, the scanner: the system's clamd with two signatures of our own that know only the EICAR test file, so that no
// database of a gigabyte is needed.
import { mkdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Engine, EngineContext } from './engine.ts';
import { programOnPath } from './engine-process.ts';

// In hexadecimal, so that no scanner stops at this file.
const EICAR_HEX = '58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a';
// hdb: MD5, size and name of a whole file. ndb: name, any target, any offset, the bytes wherever they stand.
const SIGNATURES = {
  'eicar.hdb': '44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-File\n',
  'eicar.ndb': `Eicar-Test-Body:0:*:${EICAR_HEX}\n`,
};

export const clamavEngine: Engine = {
  name: 'clamav',
  title: 'ClamAV',
  port: 3310,
  needs: [],
  startLimitMs: 60_000,
  stopLimitMs: 15_000,
  obtain: async (context) => {
    const program = programOnPath('clamd', 'Debian: apt-get install -y --no-install-recommends clamav-daemon');
    return { program, args: [`--config-file=${writeConfiguration(context)}`] };
  },
  probe: async ({ port }) => {
    const socket = connect({ host: '127.0.0.1', port });
    // The system accepts connections for a stopped clamd as well: only its answer counts.
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer to PING within 5 s')));
    try {
      socket.write('zPING\0');
      const [answer] = (await once(socket, 'data')) as [Buffer];
      if (answer.toString() !== 'PONG\0') throw new Error(`answered ${answer.toString()} to PING`);
    } finally {
      socket.destroy();
    }
  },
  furnish: async () => {},
  environment: ({ port }) => ({ CLAMAV_HOST: '127.0.0.1', CLAMAV_PORT: String(port) }),
};

function writeConfiguration({ folders, port }: EngineContext): string {
  const home = join(folders.state, 'clamav');
  const [signatures, temporary, configuration] = [join(home, 'signatures'), join(home, 'tmp'), join(home, 'clamd.conf')];
  for (const folder of [signatures, temporary]) mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(SIGNATURES)) writeFileSync(join(signatures, name), content);
  writeFileSync(configuration, `${Object.entries(settings(signatures, temporary, port)).map(([name, value]) => `${name} ${value}`).join('\n')}\n`);
  return configuration;
}

// Started by root it stays root: the package's own user cannot reach a folder below a home of mode 700. It listens on
// loopback and scans what tests give it.
function settings(signatures: string, temporary: string, port: number): Record<string, string> {
  return {
    Foreground: 'yes',
    DatabaseDirectory: signatures,
    TemporaryDirectory: temporary,
    LogTime: 'yes',
    TCPAddr: '127.0.0.1',
    TCPSocket: String(port),
    MaxThreads: '8',
    SelfCheck: '0', // The signatures never change.
    // As large as clamd allows. Without AlertExceedsMax a file over a limit would be called clean.
    StreamMaxLength: '2000M',
    MaxFileSize: '2000M',
    MaxScanSize: '2000M',
    MaxScanTime: '120000',
    AlertExceedsMax: 'yes',
  };
}
