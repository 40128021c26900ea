// Documents for searches: many patients, common and rare codes, long and open periods; told apart by their position,
// so that a run can ask for what it knows to be there.
import type { JsonObject } from '../src/fhir/json.ts';

/** Fifty documents of each patient. */
export const DOCUMENTS_OF_PATIENT = 50;
const FIRST_DAY_MS = Date.UTC(2022, 0, 1);
const DAY_MS = 86_400_000;
const LOINC = ['11506-3', '34133-9', '18842-5', '11488-4', '11526-1', '28570-0', '34117-2', '11502-2', '18748-4', '11504-8'];
const WORDS = ['stable', 'imaging', 'follow', 'cardiac', 'résumé', 'letter', 'discharge', 'therapy', 'laboratory', 'consult', 'urgent', 'history', 'surgery', 'allergy', 'vaccine', 'family'];

/** One of `list`, the first by far the most often. */
function skewed<Item>(list: readonly Item[], position: number): Item {
  let at = position;
  for (const item of list.slice(0, -1)) {
    if (at % 3 !== 0) return item;
    at = Math.floor(at / 3);
  }
  return list.at(-1) as Item;
}

const rare = (position: number, every: number): boolean => position % every === every - 1;
const concept = (system: string, code: string, display: string): JsonObject => ({ coding: [{ system, code, display }] });
const wordsOf = (position: number): string => [1, 5, 7, 11].map((factor) => WORDS[Math.floor(position / factor) % WORDS.length]).join(' ');

export function searchDocument(position: number): JsonObject {
  const patient = Math.floor(position / DOCUMENTS_OF_PATIENT);
  const at = FIRST_DAY_MS + ((position * 7_919) % 1_400) * DAY_MS + (position % 86_400) * 1_000;
  const date = new Date(at).toISOString();
  return {
    resourceType: 'DocumentReference',
    meta: {
      ...(rare(position, 500) ? { tag: [{ system: 'urn:muniment:bench', code: 'rare' }], security: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'V' }] } : {}),
      ...(position % 2 === 0 ? { profile: ['http://hl7.org/fhir/us/core/StructureDefinition/us-core-documentreference'] } : {}),
      source: `https://source.example/system/${position % 20}`,
    },
    masterIdentifier: { system: 'urn:ietf:rfc:3986', value: `urn:muniment:bench:${position}` },
    identifier: [{ system: 'urn:muniment:bench', value: `document-${position}`, type: concept('http://terminology.hl7.org/CodeSystem/v2-0203', 'ACSN', 'Accession ID') }],
    status: rare(position, 200) ? 'entered-in-error' : rare(position, 50) ? 'superseded' : 'current',
    type: concept('http://loinc.org', skewed(LOINC, position), `Kind ${position % 10}`),
    category: [concept('http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category', skewed(['clinical-note', 'imaging', 'laboratory', 'correspondence'], position), 'Category')],
    subject: { reference: `Patient/bench-${patient}`, identifier: { system: 'urn:muniment:patients', value: String(patient) } },
    date,
    author: [{ reference: `Practitioner/bench-${position % 200}` }, ...(rare(position, 1_000) ? [{ reference: 'Device/bench-scanner' }] : [])],
    ...(position % 4 === 0 ? { authenticator: { reference: `Practitioner/bench-${position % 50}` } } : {}),
    custodian: { reference: 'Organization/bench' },
    ...(rare(position, 50) ? { relatesTo: [{ code: rare(position, 100) ? 'replaces' : 'appends', target: { reference: `DocumentReference/bench-${position - 1}` } }] } : {}),
    description: `${wordsOf(position)} note ${position % 1_000}`,
    securityLabel: [concept('http://terminology.hl7.org/CodeSystem/v3-Confidentiality', rare(position, 100) ? 'R' : 'N', 'Label')],
    content: [{
      attachment: {
        contentType: skewed(['application/pdf', 'text/xml; charset=UTF-8', 'image/jpeg', 'application/dicom'], position), language: skewed(['en', 'de-CH', 'fr'], position),
        url: `https://archive.example/${position % 100}/documents/${position}`, title: 'Note', creation: date.slice(0, 10),
      },
      format: { system: 'http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode', code: skewed(['urn:ihe:iti:xds:2017:mimeTypeSufficient', 'urn:ihe:pcc:xphr:2007'], position) },
    }],
    context: {
      encounter: [{ reference: `Encounter/bench-${Math.floor(position / 3)}` }],
      event: [concept('urn:muniment:bench:event', rare(position, 300) ? 'operation' : 'visit', 'Event')],
      period: { start: date.slice(0, 10), ...(rare(position, 10) ? {} : { end: new Date(at + (rare(position, 7) ? 30 : 0) * DAY_MS).toISOString().slice(0, 10) }) },
      facilityType: concept('urn:muniment:bench:facility', skewed(['hospital', 'clinic', 'practice'], position), 'Facility'),
      practiceSetting: concept('urn:muniment:bench:setting', `setting-${position % 20}`, 'Setting'),
      ...(rare(position, 400) ? { related: [{ reference: `Observation/bench-${position}` }] } : {}),
    },
  };
}
