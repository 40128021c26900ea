// Delivery to HAPI over REST (http://hl7.org/fhir/R4/http.html#update), and the only file that knows what HAPI does:
// a write that names another version than the current one is answered 409, also where R4 asks for 412; `If-Match: W/"0"`
// creates and never replaces; DELETE of the current version by its history address is refused when it is not current.
import { Client } from 'fhir-kit-client';
import { parseJson, type JsonObject } from '../fhir/json.ts';
import type { AccessEvent } from '../audit/access-event.ts';
import { renderProvenance } from '../audit/render-provenance.ts';
import { isLastRefusal } from './retry-schedule.ts';
import { mirroredText, sourcedText, sourceVersion, type VersionName } from './mirrored-text.ts';
import type { LeasedVersion } from './claim.ts';
import { callHapi, type HapiAnswer, type HapiRequest } from './call-hapi.ts';

export type DeliveryResult =
  | { kind: 'delivered'; hapiVersion: string }
  /** `transport`: HAPI was not reached or did not speak. `refused`: it spoke against this resource. */
  | { kind: 'again'; reason: string; transport: boolean; refused: boolean }
  | { kind: 'parked'; reason: string };

export interface DeliveryOptions {
  /** FHIR base of HAPI; `{org}` in it stands for the organisation's name, user and password for basic authentication. */
  baseUrl: string;
  /** Our own FHIR base as clients see it, without a trailing slash. */
  publicBase: string;
  /** Bound of one request. */
  timeoutMs: number;
  /** `off` leaves the Provenance of a write out. */
  access: 'off' | 'writes' | 'all';
}

export interface Delivery {
  /** Each organisation has a HAPI, or a partition of one, of its own. */
  readonly perOrganisation: boolean;
  /** Never rejects because of HAPI. `stop` ends it early with `again`. */
  deliver(leased: LeasedVersion, stop: AbortSignal): Promise<DeliveryResult>;
  /** Whether the HAPI of an organisation answers. */
  probe(orgName: string, stop: AbortSignal): Promise<boolean>;
}

/** HAPI's version of what it does not have. */
const ABSENT = '0';
/** Other writers at HAPI may change a resource between our reading and writing it. */
const ROUNDS_MAX = 4;

export function createDelivery(options: DeliveryOptions): Delivery {
  const clients = new Map<string, Client>();
  const recorded = recordOnce();
  const clientOf = (orgName: string): Client => {
    const baseUrl = options.baseUrl.replace('{org}', encodeURIComponent(orgName));
    const client = clients.get(baseUrl) ?? openClient(baseUrl);
    clients.set(baseUrl, client);
    return client;
  };
  return {
    perOrganisation: options.baseUrl.includes('{org}'),
    async deliver(leased, stop) {
      const call = (request: HapiRequest): Promise<HapiAnswer> => callHapi(clientOf(leased.orgName), request, options.timeoutMs, stop);
      const version = (): Promise<DeliveryResult> => deliverVersion(leased, options.publicBase, call);
      if (options.access === 'off') return version();
      // A reference to what was deleted makes HAPI put a placeholder in its place: then the Provenance goes first.
      return leased.deleted ? inOrder(() => recorded(leased, call), version) : inOrder(version, () => recorded(leased, call));
    },
    async probe(orgName, stop) {
      const { status } = await callHapi(clientOf(orgName), { method: 'GET', path: 'metadata' }, options.timeoutMs, stop);
      return status === 200;
    },
  };
}

/** Delivered when both are; the answer about the version is the one that counts. */
async function inOrder(...steps: (() => Promise<DeliveryResult>)[]): Promise<DeliveryResult> {
}

function openClient(baseUrl: string): Client {
  const url = new URL(baseUrl);
  const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  [url.username, url.password] = ['', ''];
  const customHeaders = login === ':' ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` };
  return new Client({ baseUrl: url.href, customHeaders });
}

type Call = (request: HapiRequest) => Promise<HapiAnswer>;

/** One write that must take the place of `expected` and of nothing else; a body of null deletes. */
interface Write extends VersionName {
  body: string | null;
  expected: string;
  leased: LeasedVersion;
}

async function deliverVersion(leased: LeasedVersion, publicBase: string, call: Call): Promise<DeliveryResult> {
  const expected = leased.hapiVersion ?? ABSENT;
  if (leased.deleted) return write({ ...leased, leased, body: null, expected }, call);
  if (leased.text === null) return { kind: 'parked', reason: 'The text of this version is not in the database' };
  return write({ ...leased, leased, body: mirroredText(leased, leased.text, publicBase), expected }, call);
}

async function deliverProvenance(leased: LeasedVersion, call: Call): Promise<DeliveryResult> {
  if (leased.eventText === null) return { kind: 'parked', reason: `The access event ${leased.event} of this version is not in the database` };
  const event = parseJson(leased.eventText) as unknown as AccessEvent;
  const name = { orgName: leased.orgName, type: 'Provenance', id: leased.event, version: 1 };
  const body = sourcedText(name, renderProvenance(event) as unknown as JsonObject);
  return write({ ...name, leased, body, expected: ABSENT }, call);
}

async function write(target: Write, call: Call): Promise<DeliveryResult> {
  let { expected } = target;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (Date.now() >= target.leased.leaseUntil) return again('The lease ended before HAPI answered');
    const answer = await call(request(target, expected));
    if (isWritten(answer, target)) return { kind: 'delivered', hapiVersion: answer.version ?? ABSENT };
    if (answer.status !== 409 && answer.status !== 412) return failure(answer, target);
    const held = await call({ method: 'GET', path: `${target.type}/${target.id}` });
    const settled = settledBy(held, target);
    if (settled !== undefined) return settled;
    const current = held.version ?? ABSENT;
    // The version was right: something else collides, such as two writes that make the same placeholder.
    if (current === expected) return failure(answer, target);
    expected = current;
  }
  return again(`${target.type}/${target.id} is changed at HAPI by others again and again`);
}

function request({ type, id, body }: Write, expected: string): HapiRequest {
  if (body === null) return { method: 'DELETE', path: `${type}/${id}/_history/${expected}` };
  return { method: 'PUT', path: `${type}/${id}`, body, ifMatch: expected };
}

function isWritten({ status }: HapiAnswer, { body }: Write): boolean {
  return status === 200 || status === 201 || status === 204 || (body === null && (status === 404 || status === 410));
}

/** What HAPI holds may end the delivery: it is this version or a newer one already, or it is not ours to overwrite. */
function settledBy(held: HapiAnswer, target: Write): DeliveryResult | undefined {
  const hapiVersion = held.version ?? ABSENT;
  if (held.status === 404 || held.status === 410) return target.body === null ? { kind: 'delivered', hapiVersion } : undefined;
  if (held.status !== 200) return failure(held, target);
  const version = sourceVersion(held.source, target);
  if (version === 'foreign') return { kind: 'parked', reason: `HAPI holds ${target.type}/${target.id} from elsewhere: ${held.source}` };
  return version !== undefined && version >= target.version ? { kind: 'delivered', hapiVersion } : undefined;
}

// Not about the resource: credentials, a busy server, a conflict that another moment resolves.
const PASSING = [401, 403, 408, 409, 412, 423, 425, 429];
// From a server in front of HAPI, or from HAPI while it has no database.
const UNREACHED = [429, 502, 503, 504];

function failure(answer: HapiAnswer, { type, id, leased }: Write): DeliveryResult {
  if (answer.status === 0) return { kind: 'again', reason: answer.reason, transport: true, refused: false };
  const reason = `${type}/${id}: HTTP ${answer.status}: ${answer.reason}`;
  // Without an OperationOutcome it was not HAPI that answered, and it says nothing about the resource.
  const transport = !answer.outcome || UNREACHED.includes(answer.status);
  const refused = !transport && answer.status >= 400 && answer.status < 500 && !PASSING.includes(answer.status);
  if (refused && isLastRefusal(leased.refusals)) return { kind: 'parked', reason };
  return { kind: 'again', reason, transport, refused };
}

function again(reason: string): DeliveryResult {
  return { kind: 'again', reason, transport: false, refused: false };
}
