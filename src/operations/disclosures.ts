// [id]/$disclosures: the accounting of disclosures of one patient (45 CFR 164.528) or of one document, as a Bundle of
// AuditEvents, as a table, a page or a document to print. Who may not read the record may not read this; that it was read is recorded like any access.
import { Readable } from 'node:stream';
import type { AccessEvent } from '../audit/access-event.ts';
import { renderAuditEvent } from '../audit/render-audit-event.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { parseDateRange, printInstant } from '../fhir/instant.ts';
import { isJsonObject, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { defineInteraction, type FhirRequest, type Interaction, type Outcome } from '../interactions/interaction.ts';
import { readFhirBody } from '../interactions/read-body.ts';
import { FHIR_JSON_TYPE } from '../interactions/representation.ts';
import { readDisclosures, type DisclosurePeriod } from '../resources/read-disclosures.ts';
import { disclosureForm, type DisclosureForm } from './disclosure-form.ts';
import type { Accounting, DisclosureSubject } from './disclosure-text.ts';
import { CSV_TYPE, printDisclosuresCsv } from './disclosures-csv.ts';
import { PAGE_HEADERS, printDisclosuresPage } from './disclosures-page.ts';
import { PDF_TYPE, printDisclosuresPdf } from './disclosures-pdf.ts';
import { requireRecordRight } from './record-right.ts';

export interface DisclosuresParts {
  fhirBase: string;
  bodyBytesMax: number;
}

/** An answer is whole or refused: an accounting from which something is missing would be a false one. */
const DISCLOSURES_MAX = 10_000;
/** 164.528(a)(3): the six years before. */
const YEARS = 6;

interface Prepared {
  period: DisclosurePeriod;
  /** The parameters as they were understood, for the self link. */
  asked: [string, string][];
}

export function disclosures(parts: DisclosuresParts): Interaction {
  return defineInteraction<Prepared>({
    code: 'operation',
    kind: 'read',
    async prepare(context) {
      requireRecordRight(context, 'An accounting of disclosures');
      return periodOf([...context.request.query, ...await bodyParameters(context.request, parts.bodyBytesMax)], context.now);
    },
    async run(tx, { now, org, request }, { period, asked }): Promise<Outcome> {
      const subject = subjectOf(request);
      const events = await readDisclosures(tx, org.id, subject, period, DISCLOSURES_MAX + 1);
      if (events.length > DISCLOSURES_MAX) throw fhirError('too-costly', `More than ${DISCLOSURES_MAX} disclosures of ${subject.reference}: ask for a shorter period with start and end`);
      const form = disclosureForm(request.query, request.header('accept'));
      const entities: Outcome['entities'] = [{ reference: subject.reference, role: subject.role }];
      if (form === undefined) return { response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: printBundle(parts.fhirBase, subject.reference, asked, events) }, entities };
      const accounting = { subject, organisation: org.name, from: printInstant(period.from), until: printInstant(period.until), asked: printInstant(now), events };
      return { ...inForm(form, accounting), entities };
    },
  });
}

/** A patient by the compartment of the path, a document by its own. */
function subjectOf({ compartment, id, type }: FhirRequest): DisclosureSubject {
  return compartment === undefined ? { reference: `${type}/${id}`, role: 'data' } : { reference: `Patient/${compartment.id}`, role: 'patient' };
}

function inForm(form: DisclosureForm, accounting: Accounting): Pick<Outcome, 'response' | 'open'> {
  const attached = (type: string): Record<string, string> => ({ 'Content-Type': type, 'Content-Disposition': `attachment; filename="disclosures-${accounting.subject.reference.split('/')[1] ?? ''}.${form}"`, 'Cache-Control': 'no-store' });
  switch (form) {
    case 'csv': return { response: { status: 200, headers: attached(CSV_TYPE), body: printDisclosuresCsv(accounting.events) } };
    case 'html': return { response: { status: 200, headers: { ...PAGE_HEADERS }, body: printDisclosuresPage(accounting) } };
    case 'pdf': {
      const bytes = printDisclosuresPdf(accounting);
      return { response: { status: 200, headers: attached(PDF_TYPE) }, open: () => Promise.resolve({ length: bytes.length, bytes: Readable.from([bytes]) }) };
    }
  }
}

async function bodyParameters(request: FhirRequest, bodyBytesMax: number): Promise<[string, string][]> {
  const { json, contentType, length } = request.body;
  const isSent = request.method === 'POST' && (json !== undefined || (length ?? 0) > 0 || (contentType !== undefined && length !== 0));
  if (!isSent) return [];
  const body = await readFhirBody(request, bodyBytesMax);
  if (body['resourceType'] !== 'Parameters') throw fhirError('wrong-resource-type', 'The body must be Parameters', { expression: 'resourceType' });
  const parameters: JsonValue[] = Array.isArray(body['parameter']) ? body['parameter'] : [];
  return parameters.filter(isJsonObject).map((parameter): [string, string] => [textOf(parameter['name']), textOf(valueOf(parameter))]);
}

const valueOf = (parameter: JsonObject): JsonValue | undefined => Object.entries(parameter).find(([name]) => name.startsWith('value'))?.[1];
const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');

/** Both ends are dates or instants and belong to the period. Raises 400 for anything else, and for an end before the start. */
function periodOf(parameters: readonly [string, string][], now: number): Prepared {
  const asked: [string, string][] = [];
  const end = (name: 'start' | 'end'): { lo: number; hi: number } | undefined => {
    const values = parameters.filter(([key]) => key === name).map(([, value]) => value);
    if (values.length === 0) return undefined;
    const [text = ''] = values;
    const range = values.length === 1 ? parseDateRange(text.replace(/ (\d{2}:\d{2})$/, '+$1')) : undefined;
    if (range === undefined) throw fhirError('invalid-parameter', `${name} must be one date or instant, such as 2024-01-31`);
    asked.push([name, text]);
    return range;
  };
  const [start, stop] = [end('start'), end('end')];
  const until = Math.min(stop?.hi ?? Infinity, now + 1);
  const from = start?.lo ?? sixYearsBefore(until);
  if (start !== undefined && stop !== undefined && from >= stop.hi) throw fhirError('invalid-parameter', 'end lies before start');
  return { period: { from: Math.max(from, 0), until: Math.max(until, 0) }, asked };
}

function sixYearsBefore(ms: number): number {
  const date = new Date(ms);
  return date.setUTCFullYear(date.getUTCFullYear() - YEARS);
}

function printBundle(fhirBase: string, patient: string, asked: [string, string][], events: readonly AccessEvent[]): string {
  const query = new URLSearchParams(asked).toString();
  return printJson({
    resourceType: 'Bundle', type: 'searchset', total: events.length,
    link: [{ relation: 'self', url: `${fhirBase}/${patient}/$disclosures${query === '' ? '' : `?${query}`}` }],
    ...(events.length === 0 ? {} : { entry: events.map((event) => ({ fullUrl: `${fhirBase}/AuditEvent/${event.id}`, resource: renderAuditEvent(event), search: { mode: 'match' } })) }),
  });
}
