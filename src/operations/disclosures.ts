// Patient/[id]/$disclosures: the accounting of disclosures of one patient (45 CFR 164.528), as a Bundle of AuditEvents or
// as a table. Who may not read the record may not read this; that it was read is recorded like any access.
import type { AccessEvent } from '../audit/access-event.ts';
import { renderAuditEvent } from '../audit/render-audit-event.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { parseDateRange } from '../fhir/instant.ts';
import { isJsonObject, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { defineInteraction, type FhirRequest, type Interaction, type Outcome } from '../interactions/interaction.ts';
import { readFhirBody } from '../interactions/read-body.ts';
import { FHIR_JSON_TYPE } from '../interactions/representation.ts';
import { readDisclosures, type DisclosurePeriod } from '../resources/read-disclosures.ts';
import { CSV_TYPE, printDisclosuresCsv, wantsCsv } from './disclosures-csv.ts';
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
    async run(tx, { request, org }, { period, asked }): Promise<Outcome> {
      const patient = `Patient/${request.compartment?.id ?? ''}`;
      const events = await readDisclosures(tx, org.id, patient, period, DISCLOSURES_MAX + 1);
      if (events.length > DISCLOSURES_MAX) throw fhirError('too-costly', `More than ${DISCLOSURES_MAX} disclosures of ${patient}: ask for a shorter period with start and end`);
      const response = wantsCsv(request.query, request.header('accept'))
        ? { status: 200, headers: { 'Content-Type': CSV_TYPE, 'Content-Disposition': `attachment; filename="disclosures-${request.compartment?.id ?? ''}.csv"` }, body: printDisclosuresCsv(events) }
        : { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: printBundle(parts.fhirBase, patient, asked, events) };
      return { response, entities: [{ reference: patient, role: 'patient' }] };
    },
  });
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
