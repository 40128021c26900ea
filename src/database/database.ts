// The doorway to PostgreSQL: one pool for each role, and transactions that are tied to one organisation, so that
// row-level security holds for every statement inside.
import pg from 'pg';
import { createNaturalBatch } from './natural-batch.ts';
import { PLAN_ONCE, planAgainAsTablesGrow } from './plans.ts';
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

/** A statement whose parameters are columns, one element for each row: several of one name are one with longer columns. */
export interface ColumnStatement {
  name: string;
  text: string;
  columns: unknown[][];
}

/** One open transaction. */
export interface Transaction {
  /** SQL with $1, $2, … */
  query<Row = Record<string, unknown>>(text: string | Statement, values?: unknown[]): Promise<QueryResult<Row>>;
  /** Its result nobody waits for: it travels with the commit, in the order of the calls, and fails it when it fails. `explain` turns the error into the one that is told. */
  last(statement: ColumnStatement, explain?: (error: unknown) => unknown): void;
  /** Sends what `last` was told, so that the statements behind it see it; raises what one of them fails with. */
  flush(): Promise<void>;
}

/** What may change while the server runs is asked for each new connection. */
type LoginUrl = string | (() => string);

export interface DatabaseConnection {
  appUrl: LoginUrl;
  auditUrl: LoginUrl;
  workerUrl: LoginUrl;
  /** True when the three are one login: the role is then set for each connection. */
  setRoles: boolean;
  appConnectionsMax?: number;
}

export interface Database {
  /** Runs `work` in one transaction as the application role, restricted to `org`. Commits when it returns, rolls back when it throws. */
  transaction<T>(org: OrgId, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** One reading statement in a transaction of its own; begin, statement and end leave as one message. */
  select<Row = Record<string, unknown>>(org: OrgId, statement: Statement): Promise<QueryResult<Row>>;
  /** The same for reading: a connection is taken at the first statement, and none when there is none. */
  readTransaction<T>(org: OrgId, work: (tx: Transaction) => Promise<T>): Promise<T>;
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
  return /Connection terminated|timeout expired|timeout exceeded when trying to connect|Query read timeout|Client was closed|Client has encountered a connection error/.test(message ?? '');
}

/** SQLSTATE 40001 and 40P01: another transaction was faster; the same work may succeed when run again. */
export function isSerializationFailure(error: unknown): boolean {
  return /^(40001|40P01)$/.test((error as { code?: string }).code ?? '');
}

function translate(error: unknown): unknown {
  if (error instanceof FhirError || !isUnavailable(error)) return error;
  return fhirError('unavailable', 'The database cannot be reached', { cause: error, headers: { 'Retry-After': '2' } });
}

/** A database that is there lets in within this. */
const CONNECT_MS = 2_000;
/** So long a burst may wait for one of the connections before it is told to come back. */
const WAIT_MS = 5_000;

// Named statements are written so that one plan serves all values; making a plan for each call would cost more than
// running it. They name an index for each step, so a plan that was made while a table was empty stays a good one.
// What is better planned for its values says so in its transaction (PLAN_FOR_VALUES).
function openPool(url: LoginUrl, role: string | undefined, max: number, silenceMs: number): pg.Pool {
  class Login extends pg.Client {
    constructor(config: pg.ClientConfig = {}) { super({ ...config, connectionTimeoutMillis: CONNECT_MS, connectionString: typeof url === 'string' ? url : url() }); }
  }
  const pool = new pg.Pool({
    Client: Login,
    max,
    connectionTimeoutMillis: WAIT_MS,
    idleTimeoutMillis: 30_000,
    // A database that falls silent must not hold its callers for ever; the connection is thrown away with the statement.
    query_timeout: silenceMs,
    keepAlive: true,
    pipeline: true,
    options: [...PLAN_ONCE, ...(role === undefined ? [] : [`role = ${role}`])].map((setting) => `-c ${setting.replaceAll(' ', '')}`).join(' '),
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => {});
  // The same for one that breaks while it is lent out: its statements are rejected, and that tells.
  pool.on('connect', (client) => { client.on('error', () => {}); });
  planAgainAsTablesGrow(pool);
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

interface LastStatement {
  statement: ColumnStatement;
  explain: ((error: unknown) => unknown) | undefined;
}

type Connect = () => Promise<pg.PoolClient>;

/** Takes a connection, and gives it back fit for the next one. */
async function withClient<T>(connect: Connect, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await connect().catch((error: unknown) => { throw translate(error); });
  let broken: Error | undefined;
  try {
    return await use(client);
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => { broken = failure; });
    throw translate(error);
  } finally {
    client.release(broken);
  }
}

/** Statements of one name as one, in the order in which the names came; what one of them fails with explains them all. */
function joined(last: readonly LastStatement[]): LastStatement[] {
  const byName = new Map<string, LastStatement>();
  for (const { statement, explain } of last) {
    const known = byName.get(statement.name);
    if (known === undefined) byName.set(statement.name, { statement: { ...statement, columns: statement.columns.map((column) => [...column]) }, explain });
    else statement.columns.forEach((column, position) => known.statement.columns[position]?.push(...column));
  }
  return [...byName.values()];
}

function sendLast(client: pg.PoolClient, last: readonly LastStatement[]): Promise<{ command?: string }>[] {
  return joined(last).map(({ statement: { columns, ...named }, explain }) => client.query({ ...named, values: columns }).catch((error: unknown) => { throw explain?.(error) ?? error; }));
}

/** Sends `begin` unless it was sent, the last statements and `commit` as one message. A statement that fails aborts those behind it, and `commit` then answers ROLLBACK. */
async function commitWith(client: pg.PoolClient, begin: string | undefined, last: readonly LastStatement[]): Promise<void> {
  const sent = together(client, () => [
    ...(begin === undefined ? [] : [client.query(begin)]),
    ...sendLast(client, last),
    client.query('commit'),
  ]);
  const answers = await Promise.all(sent);
  if (answers.at(-1)?.command !== 'COMMIT') throw new Error('The transaction was rolled back instead of committed');
}

/** Answers what the transaction failed with, undefined when it was committed. */
type GroupCommit = (begin: string, last: readonly LastStatement[]) => Promise<Error | undefined>;

/** One group of an organisation at a time: while it is with the database the next one fills, and the fewer groups the fewer messages. */
const GROUPS_AT_ONCE = 1;

/**
 * Commits what needs nothing but statements: many transactions of one organisation as one, so that they share its
 * messages and its fsync. When one of them fails, all are rolled back and each is run alone. Answers what each failed with.
 */
function createGroupCommit(connect: Connect): GroupCommit {
  const alone: GroupCommit = async (begin, last) => {
    try {
      await withClient(connect, (client) => commitWith(client, begin, last));
      return undefined;
    } catch (error) { return error as Error; }
  };
  return createNaturalBatch<readonly LastStatement[], Error | undefined>(async (begin, group) => {
    if (group.length === 1) return [await alone(begin, group[0] ?? [])];
    try {
      await withClient(connect, (client) => commitWith(client, begin, group.flat()));
      return group.map(() => undefined);
    } catch (error) {
      // Whether a group whose connection broke was committed is not known, so it is not run again.
      if (error instanceof FhirError && error.status === 503) throw error;
      return Promise.all(group.map((last) => alone(begin, last)));
    }
  }, GROUPS_AT_ONCE);
}

/**
 * The connections are in pipeline mode. One is taken at the first statement, which `begin` travels with; the last
 * statements travel with `commit`. A transaction of last statements alone needs no connection of its own.
 */
async function inTransaction<T>(connect: Connect, begin: string, work: (tx: Transaction) => Promise<T>, group: GroupCommit | undefined): Promise<T> {
  const last: LastStatement[] = [];
  let opening: Promise<pg.PoolClient> | undefined;
  let begun: Promise<unknown> | undefined;
  const send = async <T>(statements: (client: pg.PoolClient) => T): Promise<Awaited<T>> => {
    const first = opening === undefined;
    opening ??= connect();
    const client = await opening;
    return await together(client, () => {
      if (first) {
        begun = client.query(begin);
        begun.catch(() => { /* The statements behind it fail as well, and tell. */ });
      }
      return statements(client);
    });
  };
  const tx: Transaction = {
    query: (text, values) => send((client) => client.query(text as string, values)) as never,
    last: (statement, explain) => { last.push({ statement, explain }); },
    flush: async () => {
      const waiting = last.splice(0);
      if (waiting.length > 0) await send((client) => Promise.all(sendLast(client, waiting)));
    },
  };
  try {
    const result = await work(tx);
    if (opening === undefined) {
      if (last.length === 0) return result;
      const failure = await (group === undefined ? withClient(connect, (client) => commitWith(client, begin, last)) : group(begin, last));
      if (failure instanceof Error) throw failure;
      return result;
    }
    const client = await opening;
    await begun;
    await commitWith(client, undefined, last);
    client.release();
    return result;
  } catch (error) {
    await opening?.then(giveBackFailed, () => { /* There was no connection to give back. */ });
    throw translate(error);
  }
}

/** After a failure the transaction is still open; a connection that cannot even end it is thrown away. */
async function giveBackFailed(client: pg.PoolClient): Promise<void> {
  let broken: Error | undefined;
  await client.query('rollback').catch((failure: Error) => { broken = failure; });
  client.release(broken);
}

/** The organisation is a number of ours, so it stands in the text: begin and setting are one message. */
function beginFor(org: OrgId): string {
  return `begin; set local app.org = '${Number(org)}'`;
}

async function selectAlone<Row>(connect: Connect, begin: string, statement: Statement): Promise<QueryResult<Row>> {
  return withClient(connect, async (client) => {
    const [, answer] = await Promise.all(together(client, () => [client.query(begin), client.query(statement), client.query('rollback')]));
    return answer as never;
  });
}

export function openDatabase(connection: DatabaseConnection): Database {
  const role = (name: string): string | undefined => (connection.setRoles ? name : undefined);
  const app = openPool(connection.appUrl, role('muniment_app'), connection.appConnectionsMax ?? 16, 20_000);
  const audit = openPool(connection.auditUrl, role('muniment_audit'), 3, 5_000);
  const worker = openPool(connection.workerUrl, role('muniment_worker'), 4, 60_000);
  const connectApp: Connect = () => app.connect();
  const group = createGroupCommit(connectApp);
  return {
    transaction: (org, work) => inTransaction(connectApp, beginFor(org), work, group),
    select: (org, statement) => selectAlone(connectApp, beginFor(org), statement),
    readTransaction: (org, work) => inTransaction(connectApp, beginFor(org), work, undefined),
    query: (statement) => app.query(statement).catch((error: unknown) => { throw translate(error); }) as never,
    auditQuery: async (statement) => { await audit.query(statement).catch((error: unknown) => { throw translate(error); }); },
    workerTransaction: (work) => inTransaction(() => worker.connect(), 'begin', work, undefined),
    close: async () => { await Promise.all([app.end(), audit.end(), worker.end()]); },
  };
}
