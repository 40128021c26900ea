// From a row of the route table to a request: its method, its path with what varies filled in, a body, and what the row
// promises. A row that cannot be derived has no recipe and is refused with a text that says what to add.
import { randomUUID } from 'node:crypto';
import { documentReference, media, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import type { Route } from '../../src/http/match-route.ts';

export type Row = Pick<Route, 'method' | 'path' | 'type' | 'code'>;

export interface Recipe {
  path: string;
  call: Call;
  /** Events of the success: one, and for a Bundle one for each entry besides. */
  events: number;
}

const STATUS_LIST = { resourceType: 'List', status: 'current', mode: 'working', title: 'Walk' };

const BODIES: Record<string, () => Record<string, unknown>> = {
  DocumentReference: documentReference,
  Media: media,
  Binary: () => ({ resourceType: 'Binary', contentType: 'text/plain', data: 'QQ==' }),
  List: () => ({ ...STATUS_LIST, identifier: [{ system: 'urn:walk', value: randomUUID() }] }),
};

/** Bodies of operations by their name: what makes each succeed. */
const OPERATIONS: Record<string, (type: string) => (Pick<Call, 'body' | 'headers'> & { query?: string }) | undefined> = {
  '$audit-checkpoint': () => ({}),
  '$audit-consistency': () => ({ query: '?from=0' }),
  '$inclusion-proof': () => ({}),
  '$break-glass': () => ({ body: { resourceType: 'Parameters', parameter: [{ name: 'reason', valueString: 'Unconscious after an accident' }] } }),
  $grants: () => ({}),
  '$signed-url': () => ({ body: { resourceType: 'Parameters' } }),
  $disclosures: () => ({ body: { resourceType: 'Parameters', parameter: [{ name: 'start', valueDate: '2024-01-01' }] } }),
  $validate: (type) => {
    const resource = BODIES[type]?.();
    return resource === undefined ? undefined : { body: { resourceType: 'Parameters', parameter: [{ name: 'resource', resource }] } };
  },
};

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const PATCH = { body: JSON.stringify([{ op: 'add', path: '/language', value: 'en' }]), headers: { 'content-type': 'application/json-patch+json' } };
const bytes = (): Pick<Call, 'body' | 'headers'> => ({ body: `bytes ${randomUUID()}`, headers: { 'content-type': 'text/plain' } });

export function nameOf({ method, path, code }: Row): string {
  return `${method} /${path} (${code})`;
}

function missing(row: Row, what: string): Error {
  return new Error(`The walk has no recipe for ${nameOf(row)}: test/gate/route-recipes.ts lacks ${what}`);
}

/** A body that creates a resource of the row's type. */
function freshBody(row: Row): Pick<Call, 'body' | 'headers'> {
  if (row.type === 'Binary') return bytes();
  const make = BODIES[row.type];
  if (make === undefined) throw missing(row, `a body for ${row.type} in BODIES`);
  return { body: make() };
}

async function created(client: FhirClient, row: Row, body = freshBody(row)): Promise<Answer> {
  const answer = await client.call(row.type, { method: 'POST', ...body });
  if (answer.status !== 201) throw missing(row, `a body that ${row.type} accepts: ${answer.text}`);
  return answer;
}

export interface RecipeBook {
  /** A request that the row answers with success. Raises an Error that says what is missing. */
  success(row: Row): Promise<Recipe>;
  /** The id of a resource of the row's type, which lives through the walk. */
  idOf(row: Row): Promise<string>;
  /** The row's path with `id` in it. */
  pathOf(row: Row, id: string): string;
}

export function recipeBook(client: FhirClient, routes: readonly Row[]): RecipeBook {
  const made = new Map<string, string>();

  async function findOrMake(row: Row): Promise<string> {
    if (routes.some(({ type, code }) => type === row.type && code === 'create')) return (await created(client, row)).json.id;
    const found = await client.get(`${row.type}?_count=1`);
    const id = found.json?.entry?.[0]?.resource?.id as string | undefined;
    if (id === undefined) throw missing(row, `a way to a resource of type ${row.type}`);
    return id;
  }

  async function idOf(row: Row): Promise<string> {
    const id = made.get(row.type) ?? await findOrMake(row);
    made.set(row.type, id);
    return id;
  }

  const pathOf = (row: Row, id: string): string => row.path.replaceAll('[id]', id).replace('[vid]', '1').replaceAll('[compartment-id]', 'of-nobody');

  /** A conditional interaction finds what has this identifier; a made one, so that it succeeds. */
  async function byCriteria(row: Row): Promise<string> {
    const value = randomUUID();
    const { body } = freshBody(row);
    await created(client, row, { body: { ...(body as object), identifier: [{ system: 'urn:walk', value }] } });
    return `${row.path}?identifier=urn:walk|${value}`;
  }

  async function changed(row: Row, id: string): Promise<Pick<Call, 'body' | 'headers'>> {
    if (row.type === 'Binary') return bytes();
    const { json } = await client.get(`${row.type}/${id}`);
    return { body: { ...json, meta: { tag: [{ system: 'urn:walk', code: randomUUID() }] } } };
  }

  /** Bodies of Bundles: one entry that reads what lives. */
  async function bundle(row: Row, type: 'batch' | 'transaction'): Promise<Recipe> {
    const url = `DocumentReference/${await idOf({ ...row, type: 'DocumentReference' })}`;
    return { path: row.path, call: { method: 'POST', body: { resourceType: 'Bundle', type, entry: [{ request: { method: 'GET', url } }] } }, events: 2 };
  }

  /** A signed URL of the resource to renew or revoke. */
  async function namedGrant(path: string): Promise<Pick<Call, 'body'>> {
    const { json } = await client.post(path.replace(/\$.*/, '$signed-url'), undefined);
    return { body: { resourceType: 'Parameters', parameter: (json as { parameter: { name: string }[] }).parameter.filter(({ name }) => name === 'grant') } };
  }

  async function operation(row: Row, path: string): Promise<Recipe> {
    const name = row.path.split('/').at(-1) ?? '';
    const recipe = name === '$refresh-url' || name === '$revoke-url' ? { query: '', ...await namedGrant(path) } : OPERATIONS[name]?.(row.type);
    if (recipe === undefined) throw missing(row, `the body of ${name} on ${row.type} in OPERATIONS`);
    const { query = '', ...body } = recipe;
    return { path: `${path}${query}`, call: { method: row.method, ...(row.method === 'GET' ? {} : body) }, events: 1 };
  }

  async function success(row: Row): Promise<Recipe> {
    const onInstance = row.path.includes('[id]');
    const id = onInstance && row.code !== 'delete' ? await idOf(row) : '';
    const path = pathOf(row, id);
    if (/\[/.test(path)) throw missing(row, `a value for ${/\[[^\]]*\]/.exec(path)?.[0]}`);
    const one = (call: Call, at = path): Recipe => ({ path: at, call: { method: row.method, ...call }, events: 1 });
    switch (row.code) {
      case 'create': return one(freshBody(row));
      case 'read': case 'vread': case 'history-instance': return one({});
      case 'history-type': case 'history-system': return one({}, `${path}?_count=1`);
      case 'search-type': case 'search-system': return row.method === 'POST' ? one({ body: '_count=1', headers: FORM }) : one({}, `${path}?_count=1`);
      case 'update': return onInstance ? one(await changed(row, id)) : one(freshBody(row), await byCriteria(row));
      case 'patch': return one(PATCH, onInstance ? path : await byCriteria(row));
      case 'delete': return onInstance ? one({}, pathOf(row, (await created(client, row)).headers.get('location')?.split('/_history/')[0]?.split('/').at(-1) ?? '')) : one({}, await byCriteria(row));
      case 'batch': case 'transaction': return bundle(row, row.code);
      case 'operation': return operation(row, path);
      default: throw missing(row, `the interaction ${String(row.code)}`);
    }
  }

  return { success, idOf, pathOf };
}

/** What a row sends in its body, as far as the wire reads it. */
export function bodyKind({ method, type, code }: Row): 'fhir' | 'patch' | 'form' | 'bytes' | 'none' {
  if (method === 'GET' || method === 'DELETE') return 'none';
  if (code === 'search-type' || code === 'search-system') return 'form';
  if (type === 'Binary' && code !== 'patch') return 'bytes';
  return code === 'patch' ? 'patch' : 'fhir';
}
