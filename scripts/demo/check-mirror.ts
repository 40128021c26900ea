// The copy at HAPI: waited for, because the mirror delivers after the answer, then compared with what we hold.
import type { Binary, DocumentReference, Media, Provenance } from '@medplum/fhirtypes';
import { setTimeout as sleep } from 'node:timers/promises';
import { CheckFailed, type Checks } from './checks.ts';
import { exchange, jsonOf, type Answer } from './exchange.ts';
import type { Mirror } from './open-muniment.ts';
import { unversioned } from './paper.ts';

export type Mirrored = Binary | DocumentReference | Media;

const WAIT_MS = 60_000;
const PAUSE_MS = 250;

/** What both sides must agree in: everything else is HAPI's own. */
function essenceOf(resource: Mirrored): object {
  switch (resource.resourceType) {
    case 'Binary': return { contentType: resource.contentType, data: resource.data };
    case 'DocumentReference': return { status: resource.status, subject: resource.subject, attachments: resource.content.map(({ attachment }) => [attachment.url, attachment.hash, attachment.size]) };
    case 'Media': return { status: resource.status, subject: resource.subject, attachments: [[resource.content.url, resource.content.hash, resource.content.size]] };
  }
}

async function waitFor(mirror: Mirror, reference: string, settled: (answer: Answer) => boolean): Promise<Answer> {
  const until = Date.now() + WAIT_MS;
  for (;;) {
    const answer = await exchange({ method: 'GET', url: `${mirror.base}/${unversioned(reference)}`, headers: { 'accept': 'application/fhir+json', 'cache-control': 'no-cache' } });
    if (settled(answer)) return answer;
    if (Date.now() > until) throw new CheckFailed(`HAPI's copy of ${reference} within ${WAIT_MS / 1_000} s`, reference, `${answer.status} ${sourceOf(answer) ?? ''}`);
    await sleep(PAUSE_MS);
  }
}

function sourceOf(answer: Answer): string | undefined {
  return jsonOf<{ meta?: { source?: string } }>(answer)?.meta?.source;
}

/** Waits for this version and compares it; `held` is our answer of the write. Answers the time until it was there. */
export async function checkCopy(mirror: Mirror, org: string, checks: Checks, reference: string, held: Mirrored): Promise<number> {
  const started = performance.now();
  const source = `urn:muniment:${org}/${reference}`;
  const answer = await waitFor(mirror, reference, (one) => sourceOf(one) === source);
  const copy = jsonOf<Mirrored>(answer);
  checks.equal(`HAPI's ${reference}: meta.source`, copy?.meta?.source, source);
  checks.equal(`HAPI's ${reference}: content`, copy === undefined ? undefined : essenceOf(copy), essenceOf(held));
  return performance.now() - started;
}

export async function checkRemoved(mirror: Mirror, checks: Checks, reference: string): Promise<number> {
  const started = performance.now();
  const { status } = await waitFor(mirror, reference, (answer) => answer.status === 410);
  checks.equal(`HAPI's ${reference}: status`, status, 410);
  return performance.now() - started;
}

/** The Provenance of a write travels with it. */
export async function checkMirroredProvenance(mirror: Mirror, org: string, checks: Checks, held: Provenance): Promise<void> {
  const reference = `Provenance/${held.id}/_history/1`;
  const answer = await waitFor(mirror, reference, (one) => sourceOf(one) === `urn:muniment:${org}/${reference}`);
  const copy = jsonOf<Provenance>(answer);
  checks.equal(`HAPI's ${reference}: recorded`, copy?.recorded, held.recorded);
  checks.equal(`HAPI's ${reference}: activity`, copy?.activity, held.activity);
}
