// Just enough of a FHIR server for fault injection: versions, If-Match, deletion and transactions of PUTs, answered in HAPI's manner.
import type { GivenAnswer, ReceivedRequest } from '../support/faulty-server.ts';

interface Held {
  version: number;
  deleted: boolean;
  body: string;
}

export interface SmallFhir {
  work(request: ReceivedRequest): GivenAnswer;
  /** meta.source of each version of `reference`, in order; 'deleted' for a deletion. */
  history(reference: string): string[];
}

export function createSmallFhir(base: string): SmallFhir {
  const held = new Map<string, Held>();
  const histories = new Map<string, string[]>();

  function keep(reference: string, deleted: boolean, body: string, known: Held | undefined): GivenAnswer {
    const version = (known?.version ?? 0) + 1;
    held.set(reference, { version, deleted, body });
    const source = deleted ? 'deleted' : (JSON.parse(body) as { meta: { source: string } }).meta.source;
    histories.set(reference, [...(histories.get(reference) ?? []), source]);
    return { status: known === undefined || known.deleted ? 201 : 200, headers: { 'content-location': `${base}/${reference}/_history/${version}` } };
  }

  function read(known: Held | undefined, reference: string): GivenAnswer {
    if (known === undefined) return outcome(404, 'not known');
    const address = `${base}/${reference}/_history/${known.version}`;
    if (known.deleted) return { ...outcome(410, 'deleted'), headers: { location: address } };
    return { status: 200, headers: { etag: `W/"${known.version}"`, 'content-type': 'application/fhir+json' }, body: known.body };
  }

  /** All or nothing. */
  function transact(request: ReceivedRequest): GivenAnswer {
    const [before, told] = [new Map(held), new Map(histories)];
    const answers = writesIn(request, base).map((write) => one(write));
    const failed = answers.find(({ status }) => status >= 400);
    if (failed === undefined) {
      const entry = answers.map(({ status, headers }) => ({ response: { status: `${status} Done`, location: headers?.['content-location']?.slice(base.length + 1) } }));
      return { status: 200, body: JSON.stringify({ resourceType: 'Bundle', type: 'transaction-response', entry }) };
    }
    for (const [map, earlier] of [[held, before], [histories, told]] as [Map<string, unknown>, Map<string, unknown>][]) {
      map.clear();
      for (const [key, value] of earlier) map.set(key, value);
    }
    return failed;
  }

  function one({ method, path, headers, body }: ReceivedRequest): GivenAnswer {
    const [type = '', id = '', , guarded] = path.split('?', 1)[0]!.slice(base.length + 1).split('/');
    if (type === 'metadata') return { status: 200, body: '{"resourceType":"CapabilityStatement"}' };
    if (id === '' && method === 'GET') return { status: 200, body: '{"resourceType":"Bundle","type":"searchset"}' };
    const reference = `${type}/${id}`;
    const known = held.get(reference);
    if (method === 'GET') return read(known, reference);
    const expected = guarded ?? /"(.+)"/.exec(headers['if-match'] ?? '')?.[1];
    if (known !== undefined && expected !== undefined && expected !== String(known.version)) return outcome(409, 'HAPI-0989: not the current version');
    if (method === 'DELETE') return known === undefined || known.deleted ? outcome(200, 'nothing to delete') : keep(reference, true, '', known);
    return keep(reference, false, body, known);
  }

  return {
    work: (request) => (request.method === 'POST' && request.path === base ? transact(request) : one(request)),
    history: (reference) => histories.get(reference) ?? [],
  };
}

/** The writes of a request: itself, or those of the transaction that it is. */
export function writesIn(request: ReceivedRequest, base = '/fhir'): ReceivedRequest[] {
  if (request.method !== 'POST' || request.path !== base) return request.method === 'GET' ? [] : [request];
  const { entry } = JSON.parse(request.body) as { entry: { resource: object; request: { method: string; url: string; ifMatch?: string } }[] };
  return entry.map(({ resource, request: { method, url, ifMatch } }) => ({ method, path: `${base}/${url}`, headers: { 'if-match': ifMatch }, body: JSON.stringify(resource) }));
}

export function outcome(status: number, diagnostics: string): GivenAnswer {
  return { status, body: JSON.stringify({ resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'processing', diagnostics }] }) };
}
