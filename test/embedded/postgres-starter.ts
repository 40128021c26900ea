// Run as a process of its own by the test: starts the embedded PostgreSQL of a directory, says where, and waits to be killed.
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts';

const [directory = '', port] = process.argv.slice(2);
const { url } = await startEmbeddedPostgres({ directory, ...(port === undefined ? {} : { port: Number(port) }) });
console.log(url);
setInterval(() => {}, 60_000);
