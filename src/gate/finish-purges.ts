// What follows an approved purge: its bytes leave every store, and a certificate says what was destroyed, by whose word and
// when. Done at once, and taken up again where a server was killed or a store was out of reach.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AccessEvent } from '../audit/access-event.ts';
import type { ContentReceiver } from '../content/receive-content.ts';
import { removePurgedBytes, type PurgedBytes } from '../content/remove-purged.ts';
import type { Database } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { printInstant } from '../fhir/instant.ts';
import type { JsonObject } from '../fhir/json.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { Logger } from '../logger.ts';
import { publishDocument } from '../resources/publish-document.ts';
import { readPurgedTrace, type PurgedTrace } from '../resources/purge-resource.ts';
import { finishPurgeRow, readPurge, type Purge } from '../resources/purges.ts';
import { RETENTION_TAG_SYSTEM } from '../resources/retention-profiles.ts';
import { recordInTransaction } from './record-access.ts';

export interface PurgeParts extends PurgedBytes {
  database: Database;
  content: ContentReceiver;
  fhirBase: string;
  observer: string;
  logger: Logger;
  /** Called once for each purge, by the server that brought it to its end. */
  onPurged: () => void;
}

const CERTIFICATE_TYPE = 'application/json';

function personOf(by: string): object {
  const [issuer, subject, client] = by.split('|');
  return { issuer, subject, client };
}

/** The certificate's own text. */
function certificateText(org: string, purge: Purge, trace: PurgedTrace, now: number): string {
  return `${JSON.stringify({
    certificate: 'Destruction of a record', purge: purge.id, organisation: org, reference: purge.reference,
    retention: purge.retention === undefined ? undefined : { class: purge.retention.class, until: printInstant(purge.retention.until.getTime()) },
    requested: { at: printInstant(purge.requested.getTime()), by: personOf(purge.requestedBy), reason: purge.reason },
    approved: purge.decided === undefined ? undefined : { at: printInstant(purge.decided.at.getTime()), by: personOf(purge.decided.by), reason: purge.decided.reason },
    destroyed: printInstant(now), resources: trace.resources, bytes: trace.bytes.map(({ content, size, sha256 }) => ({ content, size, sha256 })),
  }, null, 2)}\n`;
}

function certificateResource(purge: Purge, now: number, attachment: JsonObject): JsonObject {
  return {
    resourceType: 'DocumentReference',
    meta: { tag: [{ system: RETENTION_TAG_SYSTEM, code: 'permanent' }] },
    masterIdentifier: { system: 'urn:ietf:rfc:3986', value: `urn:uuid:${purge.id}` },
    status: 'current', docStatus: 'final',
    type: { text: 'Certificate of destruction' },
    category: [{ coding: [{ system: 'https://muniment.example/fhir/CodeSystem/document-category', code: 'other' }] }],
    date: printInstant(now), description: `Certificate of destruction of ${purge.reference}`,
    content: [{ attachment }],
  };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** The certificate is a document like any other, of the server's own making. False when another server was faster. */
async function issueCertificate(parts: PurgeParts, org: { id: OrgId; name: string }, purge: Purge): Promise<boolean> {
  const { database, content, fhirBase, observer } = parts;
  const now = Date.now();
  const event = newUuidV7(now);
  const id = purge.certificate ?? newUuidV7(now);
  const creator = [observer, 'muniment', 'muniment-purge'].join('|');
  const trace = await database.readTransaction(org.id, (tx) => readPurgedTrace(tx, org.id, purge.id));
  if (trace.bytes.some(({ removed }) => !removed)) throw new Error('Bytes of the purge are still there');
  const bytes = Buffer.from(certificateText(org.name, purge, trace, now), 'utf8');
  const received = await content.receive({ org, bytes: once(bytes), size: bytes.length, declaredType: CERTIFICATE_TYPE, rules: { allowedTypes: [CERTIFICATE_TYPE] }, creator, bytesMax: bytes.length, now });
  const attachment: JsonObject = { contentType: CERTIFICATE_TYPE, title: `Certificate of destruction ${purge.id}.json` };
  try {
    await database.transaction(org.id, async (tx) => {
      const current = await readPurge(tx, org.id, purge.id, true);
      // Another server was faster.
      if (current?.state !== 'approved') throw new AlreadyDone();
      const { made } = await publishDocument(tx, {
        type: 'DocumentReference', id, method: 'POST', resource: certificateResource(purge, now, attachment), linked: [], previous: undefined, now, event,
        moved: [{ attachment, expression: 'DocumentReference.content[0].attachment', contentType: CERTIFICATE_TYPE, bytes, received }],
        reader: { org: org.id, creator, system: true, confined: false, limited: false, restriction: () => undefined, fhirBase },
      });
      await finishPurgeRow(tx, org.id, purge.id, now);
      recordInTransaction(tx, [{ org: org.id, event: certificateEvent(parts, org.name, purge, { id, event, now, binaries: made.map((binary) => `Binary/${binary.id}/_history/${binary.version}`) }) }]);
    });
    return true;
  } catch (error) {
    await content.discard(org.id, received);
    if (error instanceof AlreadyDone) return false;
    throw error;
  }
}

class AlreadyDone extends Error {}

function certificateEvent({ observer }: PurgeParts, org: string, purge: Purge, made: { id: string; event: string; now: number; binaries: string[] }): AccessEvent {
  const target = `DocumentReference/${made.id}/_history/1`;
  return {
    action: 'C', agent: { client: 'muniment-purge', issuer: observer, name: 'muniment', subject: 'muniment' },
    entities: [...made.binaries, target].map((reference) => ({ reference, role: 'data' as const })), id: made.event, interaction: 'create', layout: 1, observer, org, outcome: 0,
    outcomeDesc: `Certificate of destruction of ${purge.reference}`, recorded: printInstant(made.now), request: { method: 'POST', url: 'DocumentReference' }, requestId: made.event, status: 201,
    write: { activity: 'CREATE', authors: [], sources: made.binaries.map((reference) => ({ reference, role: 'source' as const })), targets: [target] },
  };
}

/** Rejects where a store is out of reach: it is tried again. */
export async function finishPurge(parts: PurgeParts, org: { id: OrgId; name: string }, id: string): Promise<void> {
  const purge = await parts.database.readTransaction(org.id, (tx) => readPurge(tx, org.id, id));
  if (purge?.state !== 'approved') return;
  await removePurgedBytes(parts, org.id, id);
  if (await issueCertificate(parts, org, purge)) parts.onPurged();
}

const EVERY_MS = 60_000;

/** What was left unfinished; answers how many purges still are. */
export async function finishPurges(parts: PurgeParts): Promise<number> {
  const { rows } = await parts.database.workerTransaction((tx) => tx.query<{ org: number; name: string; id: string }>(
    `select p.org, o.name, p.id from purge p join organisation o on o.id = p.org where p.state = 'approved' order by p.org, p.id limit 1000`,
  ));
  let unfinished = 0;
  for (const { org, name, id } of rows) {
    await finishPurge(parts, { id: org, name }, id).catch((error: unknown) => {
      unfinished += 1;
      parts.logger.error({ err: error, purge: id }, 'a purge is not finished; it is tried again');
    });
  }
  return unfinished;
}

/** Answers the stop. */
export function startFinishingPurges(parts: PurgeParts): () => Promise<void> {
  const end = new AbortController();
  const loop = (async () => {
    while (!end.signal.aborted) {
      await finishPurges(parts).catch((error: unknown) => { parts.logger.warn({ err: error }, 'purges could not be looked at'); });
      await sleep(EVERY_MS, undefined, { signal: end.signal, ref: false }).catch(() => { /* It stops. */ });
    }
  })();
  return async () => {
    end.abort();
    await loop;
  };
}
