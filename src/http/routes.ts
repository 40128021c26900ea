// THE TABLE: which interactions there are, on which paths, and what they need. CapabilityStatement, Allow headers and
// the walk of the record's tests are read from it; a path that is not here does not exist.
import { GRANTED_TYPES } from '../access/access-grant.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import { processBundle } from '../interactions/bundle.ts';
import { create } from '../interactions/create.ts';
import { createBinary } from '../interactions/create-binary.ts';
import { deleteInteraction } from '../interactions/delete.ts';
import { historyInstance } from '../interactions/history-instance.ts';
import type { Perform } from '../gate/perform.ts';
import { historySystem } from '../interactions/history-system.ts';
import { historyType } from '../interactions/history-type.ts';
import type { Interaction } from '../interactions/interaction.ts';
import type { OutsideReading, OutsideResources } from '../interactions/outside-resources.ts';
import type { DocumentParts } from '../interactions/prepare-document.ts';
import { patch } from '../interactions/patch.ts';
import { readConformance } from '../interactions/read-conformance.ts';
import { searchConformanceType } from '../interactions/search-conformance.ts';
import { read } from '../interactions/read.ts';
import { readBinary } from '../interactions/read-binary.ts';
import { historyRecord, readRecord } from '../interactions/read-record.ts';
import { readThrough } from '../interactions/read-through.ts';
import { searchCompartment } from '../interactions/search-compartment.ts';
import { searchSystem } from '../interactions/search-system.ts';
import { searchThrough } from '../interactions/search-through.ts';
import { searchType } from '../interactions/search-type.ts';
import { update } from '../interactions/update.ts';
import { updateBinary } from '../interactions/update-binary.ts';
import { vread } from '../interactions/vread.ts';
import type { NewestLoader } from '../resources/load-newest.ts';
import { breakGlass } from '../operations/break-glass.ts';
import { disclosures } from '../operations/disclosures.ts';
import { disclosureForm } from '../operations/disclosure-form.ts';
import { auditCheckpoint } from '../operations/audit-checkpoint.ts';
import { auditConsistency } from '../operations/audit-consistency.ts';
import { inclusionProof } from '../operations/inclusion-proof.ts';
import type { GrantOperationParts } from '../operations/named-grant.ts';
import { listOwnGrants, revokeUrl } from '../operations/revoke-url.ts';
import { refreshUrl, signedUrl } from '../operations/signed-url.ts';
import { validate } from '../operations/validate.ts';
import type { LogProofs } from '../log/read-proofs.ts';
import { CONFORMANCE_TYPES } from '../search/conformance-parameters.ts';
import type { ContentReader } from '../content/read-content.ts';
import { COMPARTMENT_TYPES, compartmentMembers } from '../search/compartment.ts';
import type { Lacking } from '../search/lacking-notes.ts';
import { aim } from './aim.ts';
import { printOutcome } from './error-response.ts';
import type { Route, RouteCode } from './match-route.ts';
import { binaryForm } from './negotiate.ts';

export interface RouteParts extends DocumentParts, GrantOperationParts {
  log: LogProofs;
  reader: ContentReader;
  newest: NewestLoader;
  uploadBytesMax: number;
  cursorKey: Buffer;
  /** Search parameters that are still being filled. */
  lacking?: Lacking;
  /** What is passed on from HAPI; undefined without a mirror. */
  outside?: OutsideReading & OutsideResources;
  /** The door; the entries of a batch pass it one by one. */
  perform: Perform;
}

/** Where the interactions of a type stand (R4 http.html 3.1.0.20). */
const SHAPES = {
  'create': ['POST', '[type]'],
  'read': ['GET', '[type]/[id]'],
  'update': ['PUT', '[type]/[id]'],
  'patch': ['PATCH', '[type]/[id]'],
  'delete': ['DELETE', '[type]/[id]'],
  'history-instance': ['GET', '[type]/[id]/_history'],
  'history-type': ['GET', '[type]/_history'],
  'vread': ['GET', '[type]/[id]/_history/[vid]'],
} as const satisfies Partial<Record<RouteCode, readonly [Route['method'], string]>>;

/** The types that clients write in full. */
const DOCUMENTS = ['DocumentReference', 'Media', 'List'] as const;

export function buildRoutes(parts: RouteParts): Route[] {
  const { fhirBase, outside } = parts;
  const route = (type: ResourceType, code: keyof typeof SHAPES, interaction: Interaction): Route => {
    const [method, shape] = SHAPES[code];
    return { method, path: shape.replace('[type]', type), type, code, interaction };
  };
  const documents = DOCUMENTS.flatMap((type) => [
    route(type, 'create', create(parts)),
    route(type, 'read', read(parts.newest, fhirBase)),
    route(type, 'vread', vread(fhirBase)),
    route(type, 'update', update(parts)),
    route(type, 'patch', patch(parts)),
    route(type, 'delete', deleteInteraction(fhirBase)),
    route(type, 'history-instance', historyInstance(parts)),
    route(type, 'history-type', historyType(parts)),
    // Without an id the criteria in the query name the resource.
    { method: 'PUT' as const, path: type, type, code: 'update' as const, interaction: update(parts) },
    { method: 'PATCH' as const, path: type, type, code: 'patch' as const, interaction: patch(parts) },
    { method: 'DELETE' as const, path: type, type, code: 'delete' as const, interaction: deleteInteraction(fhirBase) },
  ]);
  const records = (['AuditEvent', 'Provenance'] as const).flatMap((type) => [
    route(type, 'read', readRecord('read')),
    route(type, 'vread', readRecord('vread')),
    route(type, 'history-instance', historyRecord(fhirBase)),
  ]);
  const conformance = CONFORMANCE_TYPES.flatMap((type): Route[] => [
    route(type, 'read', readConformance(type)),
    { method: 'GET', path: type, type, code: 'search-type', interaction: searchConformanceType(type, fhirBase) },
  ]);
  const bundle = processBundle({ ...parts, aim: (asked) => aim(routes, asked), printOutcome });
  const routes: Route[] = [
    ...documents,
    route('Binary', 'create', createBinary(parts)),
    ...(['read', 'vread'] as const).map((code) => route('Binary', code, readBinary({ fhirBase, content: parts.reader, form: binaryForm }, code))),
    route('Binary', 'update', updateBinary(parts)),
    route('Binary', 'delete', deleteInteraction(fhirBase)),
    route('Binary', 'history-instance', historyInstance(parts)),
    ...records,
    { method: 'GET', path: '_history', type: 'Bundle', code: 'history-system', interaction: historySystem(parts, DOCUMENTS) },
    ...(outside === undefined ? [] : outside.types.flatMap((type) => (['read', 'vread'] as const).map((code) => route(type, code, readThrough(outside, code))))),
    ...searchRoutes(parts),
    ...operationRoutes(parts),
    ...conformance,
    { method: 'POST', path: '', type: 'Bundle', code: 'transaction', interaction: bundle },
    { method: 'POST', path: '', type: 'Bundle', code: 'batch', interaction: bundle },
  ];
  return routes;
}

/** $validate stands on the type and, where resources are searched, on the instance (R4 operations.html). */
function operationRoutes(parts: RouteParts): Route[] {
  const interaction = validate(parts);
  const at = (method: 'GET' | 'POST', path: string, type: ResourceType): Route => ({ method, path, type, code: 'operation', interaction });
  return [
    ...DOCUMENTS.flatMap((type) => [at('POST', `${type}/$validate`, type), at('GET', `${type}/[id]/$validate`, type), at('POST', `${type}/[id]/$validate`, type)]),
    at('POST', 'Binary/$validate', 'Binary'),
    { method: 'POST', path: 'Patient/[compartment-id]/$break-glass', type: 'Patient', code: 'operation', interaction: breakGlass(parts) },
    ...grantRoutes(parts),
    ...disclosureRoutes(parts),
    { method: 'GET', path: 'AuditEvent/[id]/$inclusion-proof', type: 'AuditEvent', code: 'operation', interaction: inclusionProof(parts.log) },
    { method: 'GET', path: '$audit-consistency', type: 'Bundle', code: 'operation', interaction: auditConsistency(parts.log) },
    { method: 'GET', path: '$audit-checkpoint', type: 'Bundle', code: 'operation', interaction: auditCheckpoint(parts.log) },
  ];
}

/** Of a patient, and of a document: who saw it. */
function disclosureRoutes(parts: RouteParts): Route[] {
  const interaction = disclosures(parts);
  const answersAlso: NonNullable<Route['answersAlso']> = (query, accept) => disclosureForm(query, accept) !== undefined;
  const at = (method: 'GET' | 'POST', path: string, type: ResourceType): Route => ({ method, path, type, code: 'operation', interaction, answersAlso });
  return [at('GET', 'Patient/[compartment-id]/$disclosures', 'Patient'), at('POST', 'Patient/[compartment-id]/$disclosures', 'Patient'), ...DOCUMENTS.flatMap((type) => [at('GET', `${type}/[id]/$disclosures`, type), at('POST', `${type}/[id]/$disclosures`, type)])];
}

function grantRoutes(parts: GrantOperationParts): Route[] {
  const operations = { '$signed-url': signedUrl(parts), '$refresh-url': refreshUrl(parts), '$revoke-url': revokeUrl(parts) };
  return [
    ...GRANTED_TYPES.flatMap((type) => Object.entries(operations).map(([name, interaction]): Route => ({ method: 'POST', path: `${type}/[id]/${name}`, type, code: 'operation', interaction }))),
    { method: 'GET', path: '$grants', type: 'Bundle', code: 'operation', interaction: listOwnGrants() },
  ];
}

const SEARCHED = ['DocumentReference', 'Media', 'List', 'AuditEvent', 'Provenance'] as const;

/** Each search stands on two paths: by GET, and by POST to _search (R4 http.html 3.1.0.11). */
function searchRoutes(parts: RouteParts): Route[] {
  const both = (path: string, type: ResourceType, code: 'search-type' | 'search-system', interaction: Interaction): Route[] => [
    { method: 'GET', path, type, code, interaction },
    { method: 'POST', path: path === '' ? '_search' : `${path}/_search`, type, code, interaction },
  ];
  const compartments = COMPARTMENT_TYPES.flatMap((compartment) => [
    ...compartmentMembers(compartment).filter((type) => (SEARCHED as readonly string[]).includes(type)).flatMap((type) => both(`${compartment}/[compartment-id]/${type}`, type, 'search-type', searchCompartment(parts, compartment, type, SEARCHED))),
    ...both(`${compartment}/[compartment-id]/*`, 'Bundle', 'search-system', searchCompartment(parts, compartment, '*', SEARCHED)),
  ]);
  const { outside, fhirBase, cursorKey } = parts;
  const passed = outside === undefined ? [] : outside.types.flatMap((type) => both(type, type, 'search-type', searchThrough(outside, fhirBase, cursorKey)));
  return [...SEARCHED.flatMap((type) => both(type, type, 'search-type', searchType(parts))), ...both('', 'Bundle', 'search-system', searchSystem(parts, SEARCHED)), ...passed, ...compartments];
}
