// The patient is HAPI's: nobody while there is only the placeholder of a reference, then read, found and included through
// this server, with its addresses and in its record.
import type { Bundle, Patient } from '@medplum/fhirtypes';
import { exchange, jsonOf, type Answer } from './exchange.ts';
import { searchOf, versionsOf } from './find-and-read.ts';
import type { Mirror } from './open-muniment.ts';
import type { Scene } from './scene.ts';

const IDENTIFIERS = 'urn:muniment:demo:patient';

export async function readPatientThrough(scene: Scene, mirror: Mirror): Promise<void> {
  const { stage, checks, muniment, patient } = scene;
  const id = patient.slice('Patient/'.length);
  stage.begin('The patient is HAPI\'s: read, found and included through this server');
  await stage.perform({ method: 'GET', path: patient, label: 'Patient: a placeholder is nobody', interaction: 'read', status: 404 });
  const version = await admit(scene, mirror, id);
  stage.note(`HAPI has been given ${patient}`);
  await stage.perform({
    method: 'GET', path: patient, label: 'Patient', interaction: 'read', status: 200, touched: () => [version],
    check(answer) {
      const read = jsonOf<Patient>(answer);
      checks.equal(`${patient}: identifier`, read?.identifier?.[0]?.value, id);
      checks.equal(`${patient}: ETag`, answer.headers.etag, `W/"${version.split('/').at(-1)}"`);
      checks.equal(`${patient}: photo`, read?.photo?.[0]?.url, `${muniment.base}/Binary/${id}`);
      return `${read?.name?.[0]?.given?.[0]} ${read?.name?.[0]?.family}`;
    },
  });
  await stage.perform(searchOf(scene, `Patient?identifier=${IDENTIFIERS}|${id}&birthdate=ge1980`, 'Patient: by identifier', [version]));
  await stage.perform({
    method: 'GET', path: `DocumentReference?patient=${patient}&_include=DocumentReference:patient`, label: 'Documents, with their Patient', interaction: 'search-type', status: 200, touched: versionsOf,
    check: (answer) => checkIncluded(scene, answer, version),
  });
  await stage.perform({
    method: 'GET', path: `DocumentReference?patient.identifier=${IDENTIFIERS}|${id}`, label: 'Documents: by their Patient', interaction: 'search-type', status: 200, touched: versionsOf,
    check(answer) {
      checks.equal('documents by the identifier of their patient', versionsOf(answer).length > 0, true);
      return `${versionsOf(answer).length} found`;
    },
  });
}

/** As a hospital's own system would. Answers the version that HAPI made. */
async function admit({ checks, patient }: Scene, mirror: Mirror, id: string): Promise<string> {
  const body = Buffer.from(JSON.stringify({
    resourceType: 'Patient', id, identifier: [{ system: IDENTIFIERS, value: id }], name: [{ family: 'Demo', given: ['Dora'] }],
    gender: 'female', birthDate: '1984-05-06', photo: [{ contentType: 'image/jpeg', url: `${mirror.base}/Binary/${id}` }],
  } satisfies Patient));
  const answer = await exchange({ method: 'PUT', url: `${mirror.base}/${patient}`, headers: { 'content-type': 'application/fhir+json', 'prefer': 'return=representation' }, body: { bytes: [body], size: body.length } });
  checks.equal(`PUT ${patient} at HAPI: status`, answer.status < 300, true);
  return `${patient}/_history/${jsonOf<Patient>(answer)?.meta?.versionId}`;
}

function checkIncluded({ checks, muniment, patient }: Scene, answer: Answer, version: string): string {
  const entries = jsonOf<Bundle<Patient>>(answer)?.entry ?? [];
  const included = entries.filter(({ search }) => search?.mode === 'include');
  checks.equal('included with the documents', included.map(({ fullUrl, resource }) => [fullUrl, `${resource?.resourceType}/${resource?.id}/_history/${resource?.meta?.versionId}`]), [[`${muniment.base}/${patient}`, version]]);
  checks.equal('documents beside it', entries.length > 1, true);
  return `${entries.length - 1} found, their patient included once`;
}
