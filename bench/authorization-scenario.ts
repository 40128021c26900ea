// What authorization costs: the same requests by a token whose scope has a query and by one that may have everything, in turns,
// as processor time of the server and of its database. Whatever else the machine does meanwhile is not counted.
import { createAuthenticator } from '../src/access/authenticate.ts';
import { authorize } from '../src/access/authorize.ts';
import { withPolicy } from '../src/access/category-policy.ts';
import { SHIPPED_POLICY } from '../src/access/policy.ts';
import { generateKeyPair, exportJWK, SignJWT } from 'jose';
import { median } from './closed-loop.ts';
import { expectReply } from './expected-reply.ts';
import { openConnections, type Connections } from './keep-alive.ts';
import { openLoadedServer } from './loaded-server.ts';
import { processorNanoseconds } from './process-cpu.ts';
import { searchQueries } from './search-queries.ts';

const WIDE = 'system/*.cruds';
const CATEGORY = 'http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category';
/** All but each fiftieth document, by a column; two of three, by the index. */
const NARROW = { status: 'system/DocumentReference.rs?status=current', category: `system/DocumentReference.rs?category=${CATEGORY}|clinical-note` } as const;
type Narrow = keyof typeof NARROW;

export interface AuthorizationCost {
  what: string;
  scope: Narrow;
  /** Microseconds of the processor for one request. */
  wideUs: number;
  narrowUs: number;
  /** Median over the rounds of narrow minus wide, and of narrow over wide. */
  addedUs: number;
  ratio: number;
}

export interface AuthorizationResult {
  scenario: 'authorization';
  documents: number;
  /** Microseconds of one core for a token that is known and the decision on a read, in a process of its own. */
  knownTokenUs: { wide: number; status: number; category: number };
  reads: AuthorizationCost[];
  searches: AuthorizationCost[];
}

interface Bounds {
  rounds: number;
  perRound: number;
}

/** A token that was seen before, its policy and the decision, over and over in this process. */
async function knownTokenUs(scope: string): Promise<number> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const [issuer, audience] = ['https://issuer.example', 'https://muniment.example/fhir'];
  const claims = { iss: issuer, sub: 'bench', aud: audience, client_id: 'bench', org: 'demo', role: ['admin'], scope };
  const token = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k' }).setIssuedAt().setExpirationTime('1h').sign(privateKey);
  const authenticator = createAuthenticator([{ issuer, audience, claims: {}, keys: { jwks: [{ ...await exportJWK(publicKey), kid: 'k', alg: 'ES256' }] } }]);
  const headers = { authorization: `Bearer ${token}` };
  await authenticator.authenticate(headers);
  const times = 20_000;
  const run = (): number => {
    const before = process.cpuUsage();
    for (let turn = 0; turn < times; turn += 1) {
      const principal = authenticator.authenticate(headers);
      if (principal instanceof Promise) throw new Error('The token is not known');
      if (!authorize(withPolicy(principal, SHIPPED_POLICY), { interaction: 'read', type: 'DocumentReference' }).permit) throw new Error('The read is not permitted');
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / times;
  };
  run();
  return median(Array.from({ length: 5 }, run));
}

interface Asking {
  connections: Connections;
  pids: readonly number[];
  bounds: Bounds;
}

/** Wide and narrow in turns, so that a noisy moment meets both; the first round warms up and does not count. */
async function compare({ connections, pids, bounds }: Asking, tokens: { wide: string; narrow: string }, urlOf: (turn: number) => string): Promise<Omit<AuthorizationCost, 'what' | 'scope'>> {
  const used: Record<'wide' | 'narrow', number[]> = { wide: [], narrow: [] };
  for (let round = 0; round <= bounds.rounds; round += 1) {
    for (const name of round % 2 === 0 ? ['wide', 'narrow'] as const : ['narrow', 'wide'] as const) {
      const before = await processorNanoseconds(pids);
      for (let turn = 0; turn < bounds.perRound; turn += 1) {
        await expectReply(connections, { method: 'GET', url: urlOf(round * bounds.perRound + turn), headers: { authorization: `Bearer ${tokens[name]}`, accept: 'application/fhir+json' } }, 200);
      }
      if (round > 0) used[name].push((await processorNanoseconds(pids) - before) / bounds.perRound / 1_000);
    }
  }
  const pairs = used.wide.map((wide, at) => ({ wide, narrow: used.narrow[at] ?? Number.NaN }));
  return {
    wideUs: median(used.wide), narrowUs: median(used.narrow),
    addedUs: median(pairs.map(({ wide, narrow }) => narrow - wide)), ratio: median(pairs.map(({ wide, narrow }) => narrow / wide)),
  };
}

/** Positions of documents that every token may have: current ones that are clinical notes. */
const reachable = (turn: number): number => {
  const position = (turn * 7_919) % 3_000;
  return position % 3 === 0 || position % 50 === 49 ? reachable(turn + 1) : position;
};

/** `tell` is called with each result as it comes. */
export async function runAuthorization(documents: number, quick: boolean, tell: (cost: AuthorizationCost) => void): Promise<AuthorizationResult> {
  const server = await openLoadedServer('authorization', documents);
  const connections = openConnections(1);
  try {
    const wide = await server.token('--scope', WIDE);
    const narrow = { status: await server.token('--scope', NARROW.status), category: await server.token('--scope', NARROW.category) };
    const costs = async (what: string, pids: readonly number[], bounds: Bounds, urlOf: (turn: number) => string): Promise<AuthorizationCost[]> => {
      const found: AuthorizationCost[] = [];
      for (const scope of Object.keys(NARROW) as Narrow[]) {
        const cost = { what, scope, ...await compare({ connections, pids, bounds }, { wide, narrow: narrow[scope] }, urlOf) };
        found.push(cost);
        tell(cost);
      }
      return found;
    };
    const { server: own, database } = server.pids;
    const reads = await costs('read', [own], { rounds: 12, perRound: quick ? 150 : 500 }, (turn) => `${server.base}/DocumentReference/bench-${reachable(turn)}`);
    const searches: AuthorizationCost[] = [];
    // A scope on documents grants nothing of the other types, which would be another search.
    for (const { name, urlOf } of searchQueries(documents).filter(({ name: query }) => !query.includes('_type=') && !query.startsWith('/?') && !query.includes('/*?'))) {
      searches.push(...await costs(name, [own, database], { rounds: quick ? 3 : 8, perRound: quick ? 6 : 30 }, (turn) => `${server.base}/${urlOf(turn)}`));
    }
    const known = { wide: await knownTokenUs(WIDE), status: await knownTokenUs(NARROW.status), category: await knownTokenUs(NARROW.category) };
    return { scenario: 'authorization', documents, knownTokenUs: known, reads, searches };
  } finally {
    connections.close();
    await server.close();
  }
}
