// Delivery of one version to HAPI over REST (http://hl7.org/fhir/R4/http.html#update), and of the Provenance of its write.
import type { AccessEvent } from '../audit/access-event.ts';
import { renderProvenance } from '../audit/render-provenance.ts';
import { parseJson } from '../fhir/json.ts';
import { ALIVE_PATH, callHapi, type HapiAnswer, type HapiRequest } from './call-hapi.ts';
import type { LeasedVersion } from './claim.ts';
import { isPerOrganisation, openHapi, type HapiAddress, type HapiClient } from './hapi-client.ts';
import { ABSENT, again, writeGuarded, type Call, type DeliveryResult } from './guarded-write.ts';
import { deliverPhoto } from './deliver-photo.ts';
import { mirroredText, sourcedText } from './mirrored-text.ts';

export interface DeliveryOptions extends HapiAddress {
  /** Our own FHIR base as clients see it, without a trailing slash. */
  publicBase: string;
  /** Bound of one request; 15 s by default. */
  timeoutMs?: number;
  /** `off` leaves the Provenance of a write out. */
  access: 'off' | 'writes' | 'all';
}

export interface Delivery {
  /** Every access is told, not only writes. */
  readonly allAccesses: boolean;
  /** One request to the HAPI of an organisation; never rejects. */
  call(orgName: string, request: HapiRequest, stop: AbortSignal): Promise<HapiAnswer>;
  /** Each organisation has a HAPI, or a partition of one, of its own. */
  readonly perOrganisation: boolean;
  /** `delivered` when the version is there, and with the last one of a write its Provenance. `stop` ends it early with `again`. */
  deliver(leased: LeasedVersion, stop: AbortSignal): Promise<DeliveryResult>;
  /** Whether the HAPI of an organisation answers, `inside` = as it does to whom it lets in; never rejects. */
  probe(orgName: string, stop: AbortSignal, inside?: boolean): Promise<boolean>;
}

export function createDelivery({ publicBase, timeoutMs = 15_000, access, ...address }: DeliveryOptions): Delivery {
  const clients = new Map<string, HapiClient>();
  const recorded = createRecentEvents();

  function callTo(orgName: string, stop: AbortSignal): Call {
    const client = clients.get(orgName) ?? openHapi(address, orgName);
    clients.set(orgName, client);
    return (request) => callHapi(client, request, timeoutMs, stop);
  }

  async function record(leased: LeasedVersion, call: Call): Promise<DeliveryResult> {
    if (recorded.has(leased.event)) return { kind: 'delivered', hapiVersion: ABSENT };
    const result = await deliverProvenance(leased, call);
    if (result.kind === 'delivered') recorded.add(leased.event);
    return result;
  }

  return {
    allAccesses: access === 'all',
    call: (orgName, request, stop) => callTo(orgName, stop)(request),
    perOrganisation: isPerOrganisation(address.baseUrl),
    async deliver(leased, stop) {
      const call = callTo(leased.orgName, stop);
      if (leased.photo !== null) return deliverPhoto(leased, leased.photo, publicBase, call);
      if (leased.waitsFor !== null && !leased.deleted) return again(`Waits for ${leased.waitsFor}, which HAPI has to have first`);
      if (access === 'off') return deliverVersion(leased, publicBase, call);
      // HAPI puts a placeholder where a reference points to what was deleted: a deletion comes after its Provenance.
      if (leased.deleted) {
        const before = await record(leased, call);
        return before.kind === 'delivered' ? deliverVersion(leased, publicBase, call) : before;
      }
      const written = await deliverVersion(leased, publicBase, call);
      if (written.kind !== 'delivered' || !leased.lastOfWrite) return written;
      const after = await record(leased, call);
      return after.kind === 'delivered' ? written : after;
    },
    async probe(orgName, stop, inside = false) {
      const path = inside ? 'DocumentReference?_count=1&_elements=id&_total=none' : ALIVE_PATH;
      return (await callTo(orgName, stop)({ method: 'GET', path })).status === 200;
    },
  };
}

async function deliverVersion(leased: LeasedVersion, publicBase: string, call: Call): Promise<DeliveryResult> {
  const expected = leased.hapiVersion ?? ABSENT;
  if (leased.deleted) return writeGuarded({ ...leased, body: null, expected }, call);
  if (leased.text === null) return { kind: 'parked', reason: 'The text of this version is not in the database' };
  return writeGuarded({ ...leased, body: mirroredText(leased, leased.text, publicBase), expected }, call);
}

async function deliverProvenance(leased: LeasedVersion, call: Call): Promise<DeliveryResult> {
  if (leased.eventText === null) return { kind: 'parked', reason: `The access event ${leased.event} of this version is not in the database` };
  const event = parseJson(leased.eventText) as unknown as AccessEvent;
  const name = { orgName: leased.orgName, type: 'Provenance', id: leased.event, version: 1 };
  const body = sourcedText(name, renderProvenance(event));
  return writeGuarded({ ...leased, ...name, body, expected: ABSENT }, call);
}

const RECENT_MAX = 10_000;

/** Events whose Provenance is there: one write may publish several versions, such as a document and its Binary. */
function createRecentEvents(): Pick<Set<string>, 'has' | 'add'> {
  const recent = new Set<string>();
  return {
    has: (event) => recent.has(event),
    add(event) {
      if (recent.size >= RECENT_MAX) recent.clear();
      return recent.add(event);
    },
  };
}
