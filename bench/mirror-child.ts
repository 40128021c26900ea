// One server's worker of the mirror as a process of its own, to be killed: SOAK_DATABASE_URL, SOAK_HAPI_URL.
import { openDatabase } from '../src/database/database.ts';
import { createLogger } from '../src/logger.ts';
import { createDelivery } from '../src/mirror/deliver.ts';
import { startMirrorWorker } from '../src/mirror/mirror-worker.ts';
import { PUBLIC_BASE } from './mirror-documents.ts';

const url = process.env['SOAK_DATABASE_URL'] ?? '';
const database = openDatabase({ appUrl: url, auditUrl: url, workerUrl: url, setRoles: true });
startMirrorWorker({ database, delivery: createDelivery({ baseUrl: process.env['SOAK_HAPI_URL'] ?? '', publicBase: PUBLIC_BASE, timeoutMs: 4_000, access: 'writes' }), log: createLogger('error'), pollMs: 100, random: () => Math.random() * 0.1 });
process.stdout.write('ready\n');
