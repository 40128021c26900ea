// The doorway to PostgreSQL: one pool for each role, and transactions that are tied to one organisation, so that
// row-level security holds for every statement inside.
import pg from 'pg';
import type { OrgId } from './tables.ts';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';

export interface QueryResult<Row> {
  rows: Row[];
  rowCount: number;
}

export interface Statement {
  /** A name makes it a prepared statement, planned once for each connection. */
  name?: string;
  text: string;
  values?: unknown[];
}

/** One open transaction. */
export interface Transaction {
  /** SQL with $1, $2, … */
  query<Row = Record<string, unknown>>(text: string | Statement, values?: unknown[]): Promise<QueryResult<Row>>;
  /** A statement without a result that anybody waits for: it travels with the commit, and fails it when it fails. */
  last(statement: Statement): void;
}

export interface DatabaseConnection {
  appUrl: string;
  auditUrl: string;
  workerUrl: string;
  /** True when the three are one login: the role is then set for each connection. */
  setRoles: boolean;
  appConnectionsMax?: number;
}

export interface Database {
  /** Runs `work` in one transaction as the application role, restricted to `org`. Commits when it returns, rolls back when it throws. */
  transaction<T>(org: OrgId, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** One statement as the application role outside any organisation: only for functions and tables without the key. */
  query<Row = Record<string, unknown>>(statement: Statement): Promise<QueryResult<Row>>;
  /** One statement as the audit writer, which may only insert. */
  auditQuery(statement: Statement): Promise<void>;
  /** A transaction as the worker role, across organisations: mirror, sweep, seal. */
  workerTransaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

// PostgreSQL's classes 08 (connection), 53 (resources), 57P (operator intervention) and the driver's own socket errors.
const UNAVAILABLE = /^(08|53|57P)|^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOENT|EHOSTUNREACH)$/;

export function isUnavailable(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  if (code !== undefined) return UNAVAILABLE.test(code);
  return /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/.test(message ?? '');
}

/** SQLSTATE 40001 and 40P01: another transaction was faster; the same work may succeed when run again. */
export function isSerializationFailure(error: unknown): boolean {
  return /^(40001|40P01)$/.test((error as { code?: string }).code ?? '');
}

function translate(error: unknown): unknown {
  if (error instanceof FhirError || !isUnavailable(error)) return error;
  return fhirError('unavailable', 'The database cannot be reached', { cause: error, headers: { 'Retry-After': '2' } });
}

function openPool(url: string, role: string | undefined, max: number): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: 2_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    pipeline: true,
    ...(role === undefined ? {} : { options: `-c role=${role}` }),
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => {});
  return pool;
}

/** What the driver does not say of its client: the socket, whose writes of one moment leave together. */
interface CorkedClient {
  connection: { stream: { cork(): void; uncork(): void } };
}

/** Runs `send` with the socket corked: statements that it queues leave in one packet. */
function together<T>(client: pg.PoolClient, send: () => T): T {
  const { stream } = (client as unknown as CorkedClient).connection;
  stream.cork();
  try {
    return send();
  } finally {
    process.nextTick(() => stream.uncork());
  }
}

/**
 * The connection is in pipeline mode: `begin` travels with the first statement, the last statements with `commit`.
 * A statement that fails aborts the transaction for those behind it, and `commit` then answers ROLLBACK.
 */
async function runOn<T>(client: pg.PoolClient, begin: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const last: Statement[] = [];
  const tx: Transaction = {
    query: (text, values) => client.query(text as string, values) as never,
    last: (statement) => { last.push(statement); },
  };
  const [begun, working] = together(client, () => [client.query(begin), work(tx)] as const);
  begun.catch(() => { /* The statements behind it fail as well, and tell. */ });
  const result = await working;
  const ends = together(client, () => [...last.map((statement) => client.query(statement)), client.query('commit')]);
  const answers = await Promise.all([begun, ...ends]);
  if (answers.at(-1)?.command !== 'COMMIT') throw new Error('The transaction was rolled back instead of committed');
  return result;
}

async function inTransaction<T>(pool: pg.Pool, begin: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => { throw translate(error); });
  let broken: Error | undefined;
  try {
    return await runOn(client, begin, work);
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => { broken = failure; });
    throw translate(error);
  } finally {
    client.release(broken);
  }
}

export function openDatabase(connection: DatabaseConnection): Database {
  const role = (name: string): string | undefined => (connection.setRoles ? name : undefined);
  const app = openPool(connection.appUrl, role('muniment_app'), connection.appConnectionsMax ?? 16);
  const audit = openPool(connection.auditUrl, role('muniment_audit'), 3);
  const worker = openPool(connection.workerUrl, role('muniment_worker'), 4);
  return {
    // The organisation is a number of ours, so it stands in the text: begin and setting travel in one message.
    transaction: (org, work) => inTransaction(app, `begin; select set_config('app.org', '${Number(org)}', true)`, work),
    query: async (statement) => {
      try {
        return (await app.query(statement)) as never;
      } catch (error) { throw translate(error); }
    },
    auditQuery: async (statement) => {
      try {
        await audit.query(statement);
      } catch (error) { throw translate(error); }
    },
    workerTransaction: (work) => inTransaction(worker, 'begin', work),
    close: async () => { await Promise.all([app.end(), audit.end(), worker.end()]); },
  };
}
