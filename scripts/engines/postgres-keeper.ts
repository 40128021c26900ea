// A process of its own that keeps the engines' PostgreSQL running until it is told to end.
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts';

const [directory = '', port = ''] = process.argv.slice(2);
const log = (line: string): void => { console.log(line); };

const postgres = await startEmbeddedPostgres({
  directory, port: Number(port), database: 'postgres', programs: 'copied', log,
  // Enough for several test files at once, each with its own database and pools, and HAPI beside them.
  settings: { max_connections: '300' },
  onExit: (reason) => {
    log(reason);
    process.exit(1);
  },
});
log(`PostgreSQL answers on 127.0.0.1:${postgres.port}`);
setInterval(() => {}, 3_600_000);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => { void postgres.stop().then(() => { process.exit(0); }); });
}
