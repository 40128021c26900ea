// How an interaction answers with a version: headers of R4 http.html 3.1.0.5, and the body that Prefer asks for.
import { versionTag } from '../fhir/etag.ts';
import { fhirError, type Issue } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { printJson } from '../fhir/json.ts';
import { informationElement, issueElement, printIssues } from '../fhir/operation-outcome.ts';
import { parseSummaryForm, summarise, type SummaryForm } from '../fhir/summary.ts';
import { readResource } from '../resources/resource-text.ts';
import type { FhirRequest, FhirResponse } from './interaction.ts';

/** Answers of this type are resources: where they leave they become what the client accepts. */
export const FHIR_JSON_TYPE = 'application/fhir+json; charset=utf-8';
/** Of a Binary that is printed as XML while its bytes pass. */
export const FHIR_XML_TYPE = 'application/fhir+xml; charset=utf-8';

export interface Representation {
  /** `Type/id` */
  reference: string;
  version: number;
  /** Milliseconds. */
  lastUpdated: number;
  text: string;
  /** What was not refused and is worth knowing, for `Prefer: return=OperationOutcome`. */
  warnings?: readonly Issue[];
}

export function versionHeaders(version: number, lastUpdated: number): Record<string, string> {
  return { 'ETag': versionTag(version), 'Last-Modified': new Date(lastUpdated).toUTCString() };
}

/** A version as the answer of read and vread, or the part of it that `_summary` or `_elements` asks for. */
export function representation(status: number, shown: Representation, form?: SummaryForm): FhirResponse {
  const body = form === undefined ? shown.text : printJson(summarise(readResource(shown.text), form));
  return { status, headers: { ...versionHeaders(shown.version, shown.lastUpdated), 'Content-Type': FHIR_JSON_TYPE }, body, lastUpdated: shown.lastUpdated };
}

/** The form of a resource by itself. Raises 400 `invalid-parameter` also for `_summary=count`, which is for searches. */
export function summaryFormOf(request: FhirRequest): SummaryForm | undefined {
  const form = parseSummaryForm(request.query);
  if (form?.kind === 'count') throw fhirError('invalid-parameter', '_summary=count is for searches');
  return form;
}

/** The answer of a write: `Prefer: return=minimal | representation | OperationOutcome`; the resource when it does not say. */
export function writeResponse(request: FhirRequest, status: number, fhirBase: string, shown: Representation): FhirResponse {
  const { lastUpdated } = shown;
  const headers = {
    ...versionHeaders(shown.version, shown.lastUpdated),
    'Location': `${fhirBase}/${shown.reference}/_history/${shown.version}`,
    'Content-Type': FHIR_JSON_TYPE,
  };
  const wanted = /(?:^|[,;\s])return="?(minimal|representation|OperationOutcome)/.exec(request.header('prefer') ?? '')?.[1];
  const applied = wanted === undefined ? {} : { 'Preference-Applied': `return=${wanted}` };
  if (wanted === 'minimal') {
    const { 'Content-Type': _type, ...bare } = headers;
    return { status, headers: { ...bare, ...applied }, lastUpdated };
  }
  if (wanted === 'OperationOutcome') return { status, headers: { ...headers, ...applied }, body: informationOutcome(shown), lastUpdated };
  return { status, headers: { ...headers, ...applied }, body: shown.text, lastUpdated };
}

function informationOutcome(shown: Representation): string {
  const done = informationElement(`${shown.reference} is at version ${shown.version} of ${printInstant(shown.lastUpdated)}`);
  return printIssues([...(shown.warnings ?? []).map(issueElement), done]);
}
