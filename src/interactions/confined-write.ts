// A write of a caller who is confined (SMART App Launch 2.2): what is changed must be theirs before, and what comes of it
// after. Neither may it reach into what others have: another patient's compartment, a document that is hidden.
import { authorize } from '../access/authorize.ts';
import { confiningPatient, isUnconfined, type Restriction } from '../access/restriction.ts';
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { JsonObject } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { rewriteLinks } from '../fhir/rewrite-links.ts';
import { judgeVersion, requirePermitted, requireResult, unknown } from '../resources/permitted-version.ts';
import { readNewest } from '../resources/read-version.ts';
import { readResource } from '../resources/resource-text.ts';
import { compartmentParameters } from '../search/compartment.ts';
import { extractIndexValues } from '../search/extract-index-values.ts';
import { followReferences } from '../search/follow-references.ts';
import { isSearchable } from '../search/search-parameters.ts';
import type { InteractionContext } from './interaction.ts';

/** Raises 404 outside the patient, where also an id that is not known makes nothing, and 403 outside the query or the categories. */
export async function requireChangeable(tx: Transaction, { request, restriction }: InteractionContext, id: string, previous: VersionRow | undefined, fhirBase: string): Promise<void> {
  if (previous !== undefined) await requirePermitted(tx, restriction, previous, fhirBase);
  else if (confiningPatient(restriction) !== undefined) throw unknown(`${request.type}/${id}`);
}

/** Raises 403 where the result lies outside, 422 `reference-target` for a reference to a document that the caller may not read. */
export async function requireWithin(tx: Transaction, context: InteractionContext, id: string, resource: JsonObject, before: string | null, fhirBase: string): Promise<void> {
  const { request: { type }, restriction } = context;
  if (restriction.kind === 'none') return;
  requireResult(restriction, type, { ...resource, id }, fhirBase);
  const patient = confiningPatient(restriction);
  if (patient !== undefined) requireNobodyElse(type, resource, patient, fhirBase);
  await requireReadableTargets(tx, context, resource, before, fhirBase);
}

/** By each reference that puts a resource into a patient's compartment. */
function requireNobodyElse(type: string, resource: JsonObject, patient: string, fhirBase: string): void {
  if (!isSearchable(type)) return;
  const about = extractIndexValues(resource, type, fhirBase).patient;
  const others = compartmentParameters(type, 'Patient').some((parameter) => followReferences(resource, parameter, fhirBase).some((reference) => reference.type === 'Patient' && reference.id !== patient));
  if (others || (about !== null && about !== patient)) throw fhirError('forbidden', `A ${type} that this token writes is about its patient alone`, { expression: type });
}

const HELD = ['DocumentReference', 'Media', 'List'] as const;
type Held = (typeof HELD)[number];

function heldTargets(resource: JsonObject, type: string, fhirBase: string): Map<string, { type: Held; id: string; expression: string }> {
  const found = new Map<string, { type: Held; id: string; expression: string }>();
  rewriteLinks(resource, type, (link, _kind, expression) => {
    const local = parseLocalReference(link, fhirBase);
    const held = HELD.find((one) => one === local?.type);
    if (local !== undefined && held !== undefined) found.set(`${held}/${local.id}`, { type: held, id: local.id, expression });
    return undefined;
  });
  return found;
}

/** Of those that are new. What is hidden and what is not known are told alike. */
async function requireReadableTargets(tx: Transaction, { request, principal, org, share }: InteractionContext, resource: JsonObject, before: string | null, fhirBase: string): Promise<void> {
  const known = before === null ? new Map() : heldTargets(readResource(before), request.type, fhirBase);
  for (const [reference, { type, id, expression }] of heldTargets(resource, request.type, fhirBase)) {
    if (known.has(reference) || share?.created.has(reference) === true) continue;
    const decision = authorize(principal, { interaction: 'read', type });
    const restriction: Restriction = decision.permit ? decision.restriction : { kind: 'nothing' };
    const row = restriction.kind === 'nothing' ? undefined : await readNewest(tx, org.id, typeNumber(type), id);
    // Nothing is hidden from whoever is not confined but what patients withhold: what is not there may be referred to.
    if (row?.body == null && isUnconfined(restriction)) continue;
    if (row === undefined || row.body === null || await judgeVersion(tx, restriction, row, fhirBase) !== 'permitted') {
      throw fhirError('reference-target', `${reference} is not known here, or not within the scope of this token`, { expression });
    }
  }
}
