// What of a document does not change by accident: its security labels, and whom it is about.
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject } from '../fhir/json.ts';
import { referenceKey } from '../fhir/reference.ts';
import { readResource } from './resource-text.ts';

const CONFIDENTIALITY = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';
/** From open to very restricted. */
const LEVELS = ['U', 'L', 'M', 'N', 'R', 'V'];

function labelsOf(resource: JsonObject): JsonObject[] {
  const meta = resource['meta'];
  const labels = isJsonObject(meta) ? meta['security'] : undefined;
  return Array.isArray(labels) ? labels.filter(isJsonObject) : [];
}

const labelKey = ({ system, code }: JsonObject): string => JSON.stringify([system ?? '', code ?? '']);
const levelOf = ({ system, code }: JsonObject): number => (system === CONFIDENTIALITY && typeof code === 'string' ? LEVELS.indexOf(code) : -1);

/**
 * Puts back the labels of the version before that the next one leaves out: a client that does not know of a label
 * must not take it off. A confidentiality that was raised needs the lower one no more.
 */
export function keepLabels(resource: JsonObject, before: string): void {
  const labels = labelsOf(resource);
  const present = new Set(labels.map(labelKey));
  const level = Math.max(-1, ...labels.map(levelOf));
  const kept = labelsOf(readResource(before)).filter((label) => !present.has(labelKey(label)) && (levelOf(label) < 0 || levelOf(label) > level));
  if (kept.length === 0) return;
  const meta = isJsonObject(resource['meta']) ? resource['meta'] : {};
  resource['meta'] = { ...meta, security: [...labels, ...kept] };
}

/** Labelled R or V. */
export const isRestricted = (body: string): boolean => labelsOf(readResource(body)).some((label) => levelOf(label) >= LEVELS.indexOf('R'));

function subjectKey(resource: JsonObject, fhirBase: string): string | undefined {
  const subject = resource['subject'];
  const reference = isJsonObject(subject) ? subject['reference'] : undefined;
  return typeof reference === 'string' ? referenceKey(reference, fhirBase) : undefined;
}

/** Raises 422 `business-rule` where the next version is about somebody else than the one before. */
export function requireSameSubject(type: string, resource: JsonObject, before: string, fhirBase: string): void {
  const known = subjectKey(readResource(before), fhirBase);
  if (known === undefined || known === subjectKey(resource, fhirBase)) return;
  throw fhirError('business-rule', 'Whom a document is about is changed by an administrator alone; set its status to entered-in-error and create it anew', { expression: `${type}.subject` });
}
