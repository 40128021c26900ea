// The server that the demo talks to: where it is, the token for it, and whether it and its mirror are ready.
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { mintToken } from '../../src/access/development-issuer.ts';
import { exchange, jsonOf, type Answer, type Ask } from './exchange.ts';

/** Why the demo cannot begin: said in one line. */
export class NotReady extends Error {}

export interface Mirror {
  /** FHIR base of HAPI. */
  base: string;
  /** Whether it gets the Provenance of writes. */
  provenance: boolean;
}

export interface Muniment {
  base: string;
  /** Who the token says that we are. */
  identity: { org: string; user: string; client: string };
  mirror: Mirror | undefined;
  /** Where there is nothing to compare: why not. */
  mirrorNote: string;
  /** `path` is below the base, or a whole URL of this server. */
  ask(ask: Omit<Ask, 'url'> & { path: string }): Promise<Answer>;
}

type Variables = Record<string, string | undefined>;

async function tokenFor(base: string, variables: Variables): Promise<string> {
  const { MUNIMENT_TOKEN: given, DATA_DIR, NODE_ENV } = variables;
  if (given !== undefined && given !== '') return given;
  if (NODE_ENV === 'production') throw new NotReady('Development tokens are not made when NODE_ENV=production: set MUNIMENT_TOKEN');
  const dataDir = resolve(DATA_DIR ?? './data');
  // Minting makes a key where there is none, and the server would not know that one.
  await access(join(dataDir, 'development-issuer.json')).catch((error: unknown) => {
    throw new NotReady(`No development key in ${dataDir}: set DATA_DIR to the data folder of the server, or MUNIMENT_TOKEN`, { cause: error });
  });
  return mintToken({ dataDir, audience: base, scope: 'user/*.cruds', org: 'demo', user: 'Practitioner/demo', roles: ['admin'], client: 'muniment-demo', ttlSeconds: 3_600 });
}

interface Claims {
  org?: string;
  fhirUser?: string;
  sub?: string;
  client_id?: string;
}

/** Reads, and does not verify: that is the server's part. */
function readIdentity(token: string): Muniment['identity'] {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Claims;
    return { org: claims.org ?? '', user: claims.fhirUser ?? claims.sub ?? '', client: claims.client_id ?? '' };
  } catch (error) {
    throw new NotReady('MUNIMENT_TOKEN is not a JWT', { cause: error });
  }
}

/** Parts by name: up, degraded or down. A part that is not configured is up, and its note begins with `off`. */
interface Health {
  notes?: Partial<Record<string, string>>;
  mirror?: string;
}

async function readHealth(base: string): Promise<Health> {
  const url = new URL('../health/ready', `${base}/`).href;
  const answer = await exchange({ method: 'GET', url }).catch((error: unknown) => {
    const { code, message } = error as { code?: string; message: string };
    throw new NotReady(`No server answers at ${base} (${code ?? message}): start one with npm start, or set MUNIMENT_BASE`, { cause: error });
  });
  const health = jsonOf<Health>(answer) ?? {};
  if (answer.status === 200) return health;
  const down = Object.entries(health as Record<string, unknown>).flatMap(([name, state]) => (state === 'down' && name !== 'status' ? [name] : []));
  throw new NotReady(`The server at ${base} is not ready (${answer.status}): ${down.join(', ') || 'health/ready does not say why'}`);
}

function chooseMirror(health: Health, org: string, variables: Variables): Pick<Muniment, 'mirror' | 'mirrorNote'> {
  const { MIRROR_BASE_URL: base, MIRROR_ACCESS: provenance } = variables;
  const state = health.mirror ?? 'off';
  if (state === 'off' || health.notes?.['mirror']?.startsWith('off') === true) return { mirror: undefined, mirrorNote: 'mirror off' };
  if (state === 'down') return { mirror: undefined, mirrorNote: 'mirror down, not compared' };
  if (base === undefined || base === '') return { mirror: undefined, mirrorNote: `mirror ${state}, set MIRROR_BASE_URL to compare` };
  return { mirror: { base: base.replace('{org}', encodeURIComponent(org)).replace(/\/+$/, ''), provenance: provenance !== 'off' }, mirrorNote: `mirror ${state}` };
}

/** Raises `NotReady` where there is no server, no token, or none that this server accepts. */
export async function openMuniment(variables: Variables): Promise<Muniment> {
  const base = (variables['MUNIMENT_BASE'] ?? 'http://localhost:3000/fhir').replace(/\/+$/, '');
  if (!URL.canParse(base) || !/^https?:/.test(base)) throw new NotReady(`MUNIMENT_BASE must be an http or https URL: ${base}`);
  const health = await readHealth(base);
  const token = await tokenFor(base, variables);
  const identity = readIdentity(token);
  const ask: Muniment['ask'] = ({ path, ...rest }) => exchange({ ...rest, url: path.startsWith(`${base}/`) ? path : `${base}/${path}`, headers: { ...rest.headers, authorization: `Bearer ${token}` } });
  const admitted = await ask({ method: 'GET', path: 'AuditEvent?_count=1' });
  if (admitted.status !== 200) throw new NotReady(refusal(base, admitted));
  return { base, identity, ...chooseMirror(health, identity.org, variables), ask };
}

function refusal(base: string, { status, head }: Answer): string {
  const outcome = jsonOf<{ issue?: { diagnostics?: string }[] }>({ head });
  const said = outcome?.issue?.[0]?.diagnostics ?? 'no reason given';
  const remedy = status === 401 ? ': DATA_DIR must be the data folder of the server, MUNIMENT_BASE the base as it names it' : ': the demo needs a token of role admin';
  return `${base} refused the token (${status}, ${said})${remedy}`;
}
