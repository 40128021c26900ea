// Delivery of one version to HAPI over REST (http://hl7.org/fhir/R4/http.html#update), and of the Provenance of its write.
import type { AccessEvent } from '../audit/access-event.ts';
import { renderProvenance } from '../audit/render-provenance.ts';
import { parseJson } from '../fhir/json.ts';
import { ALIVE_PATH, callHapi, type HapiAnswer, type HapiRequest } from './call-hapi.ts';
import { NO_BINARY_DATA, type BinaryData } from './binary-bytes.ts';
import type { LeasedVersion } from './claim.ts';
import { isPerOrganisation, openHapi, type HapiAddress, type HapiClient } from './hapi-client.ts';
import { ABSENT, again, failureOf, writeGuarded, type Call, type DeliveryResult } from './guarded-write.ts';
import { deliverPhoto } from './deliver-photo.ts';
import { deliverInTurn, deliverTogether, type Outcomes, type TransactionEntry } from './deliver-together.ts';
import { mirroredText, sourcedText, type VersionName } from './mirrored-text.ts';
import { referenceOf } from './parcels.ts';

export interface DeliveryOptions extends HapiAddress {
  /** Our own FHIR base as clients see it, without a trailing slash. */
  publicBase: string;
  /** Bound of one request; 15 s by default. */
  timeoutMs?: number;
  /** Without it Binaries are stubs. */
  binaryData?: BinaryData;
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
  /** The same for several of one organisation that may go together (parcelsOf): in one transaction, unless HAPI takes none. */
  deliverTogether(leased: readonly LeasedVersion[], stop: AbortSignal): Promise<Outcomes>;
  /** Whether the HAPI of an organisation answers, `inside` = as it does to whom it lets in; never rejects. */
  probe(orgName: string, stop: AbortSignal, inside?: boolean): Promise<boolean>;
}

export function createDelivery({ publicBase, timeoutMs = 15_000, access, binaryData = NO_BINARY_DATA, ...address }: DeliveryOptions): Delivery {
  const clients = new Map<string, HapiClient>();
  const recorded = createRecentEvents();
  const withoutTransactions = new Set<string>();

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

  async function textOf(leased: LeasedVersion, text: string): Promise<string> {
    return mirroredText(leased, text, publicBase, leased.type === 'Binary' ? await binaryData.read(leased.org, leased.content) : undefined);
  }

  /** A Provenance goes with the last of what its write made. */
  async function entriesOf(leased: LeasedVersion): Promise<TransactionEntry[]> {
    const version = { reference: referenceOf(leased), body: await textOf(leased, leased.text ?? ''), expected: leased.hapiVersion ?? ABSENT };
    if (access === 'off' || !leased.lastOfWrite || recorded.has(leased.event)) return [version];
    return [version, { reference: `Provenance/${leased.event}`, body: provenanceText(leased, leased.eventText ?? ''), expected: ABSENT }];
  }

  async function deliver(leased: LeasedVersion, stop: AbortSignal): Promise<DeliveryResult> {
    const call = callTo(leased.orgName, stop);
    if (leased.photo !== null) return deliverPhoto(leased, leased.photo, publicBase, call);
    if (leased.waitsFor.length > 0 && !leased.deleted) return again(`Waits for ${leased.waitsFor[0]}, which HAPI has to have first`);
    if (access === 'off') return deliverVersion(leased, textOf, call);
    // HAPI puts a placeholder where a reference points to what was deleted: a deletion comes after its Provenance.
    if (leased.deleted) {
      const before = await record(leased, call);
      return before.kind === 'delivered' ? deliverVersion(leased, textOf, call) : before;
    }
    const written = await deliverVersion(leased, textOf, call);
    if (written.kind !== 'delivered' || !leased.lastOfWrite) return written;
    const after = await record(leased, call);
    return after.kind === 'delivered' ? written : after;
  }

  return {
    deliver,
    async deliverTogether(leased, stop) {
      const orgName = leased[0]?.orgName ?? '';
      const read = await Promise.all(leased.map(async (one) => [one, await entriesOf(one)] as const)).catch(() => undefined);
      // Bytes that cannot be read hold up their Binary alone.
      if (read === undefined || withoutTransactions.has(orgName)) return deliverInTurn(leased, (one) => deliver(one, stop));
      const entries = new Map(read);
      const outcomes = await deliverTogether(leased, {
        entriesOf: (one) => entries.get(one) ?? [], call: callTo(orgName, stop), alone: (one) => deliver(one, stop), onNever: () => withoutTransactions.add(orgName),
      });
      for (const [{ event, lastOfWrite }, { kind }] of outcomes) if (kind === 'delivered' && lastOfWrite && access !== 'off') recorded.add(event);
      return outcomes;
    },
    allAccesses: access === 'all',
    call: (orgName, request, stop) => callTo(orgName, stop)(request),
    perOrganisation: isPerOrganisation(address.baseUrl),
    async probe(orgName, stop, inside = false) {
      const path = inside ? 'DocumentReference?_count=1&_elements=id&_total=none' : ALIVE_PATH;
      return (await callTo(orgName, stop)({ method: 'GET', path })).status === 200;
    },
  };
}

async function deliverVersion(leased: LeasedVersion, textOf: (leased: LeasedVersion, text: string) => Promise<string>, call: Call): Promise<DeliveryResult> {
  const expected = leased.hapiVersion ?? ABSENT;
  if (leased.deleted) {
    const deleted = await writeGuarded({ ...leased, body: null, expected }, call);
    return deleted.kind === 'delivered' && leased.purged ? expungeHistory(leased, deleted, call) : deleted;
  }
  if (leased.text === null) return { kind: 'parked', reason: 'The text of this version is not in the database' };
  const body = await textOf(leased, leased.text).catch(() => undefined);
  if (body === undefined) return again(`The bytes of ${referenceOf(leased)} cannot be read at the moment`);
  return writeGuarded({ ...leased, body, expected }, call);
}

async function deliverProvenance(leased: LeasedVersion, call: Call): Promise<DeliveryResult> {
  if (leased.eventText === null) return { kind: 'parked', reason: `The access event ${leased.event} of this version is not in the database` };
  return writeGuarded({ ...leased, ...provenanceName(leased), body: provenanceText(leased, leased.eventText), expected: ABSENT }, call);
}

/** HAPI's way to remove the versions before a deletion; the deletion itself stays. Whoever runs HAPI may not allow it, which a person has to know. */
async function expungeHistory(leased: LeasedVersion, deleted: DeliveryResult & { kind: 'delivered' }, call: Call): Promise<DeliveryResult> {
  const answer = await call({ method: 'POST', path: `${referenceOf(leased)}/$expunge`, body: EXPUNGE });
  if (answer.status === 200 || answer.status === 404) return deleted;
  if (NOT_ALLOWED.includes(answer.status)) return { ...deleted, note: `HAPI keeps the versions before the purge of ${referenceOf(leased)}: $expunge answers ${answer.status}` };
  return failureOf(answer, leased);
}

const EXPUNGE = '{"resourceType":"Parameters","parameter":[{"name":"expungePreviousVersions","valueBoolean":true},{"name":"limit","valueInteger":1000}]}';
const NOT_ALLOWED = [400, 403, 405, 501];

function provenanceName({ orgName, event }: LeasedVersion): VersionName {
  return { orgName, type: 'Provenance', id: event, version: 1 };
}

function provenanceText(leased: LeasedVersion, eventText: string): string {
  return sourcedText(provenanceName(leased), renderProvenance(parseJson(eventText) as unknown as AccessEvent));
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
