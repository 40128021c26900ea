// read, vread and history-instance of AuditEvent and Provenance: one version each, which nobody can change.
import type { Restriction } from '../access/restriction.ts';
import type { AccessEvent } from '../audit/access-event.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { versionTag } from '../fhir/etag.ts';
import { readRecord as readRecordRow, renderRecord } from '../resources/read-record.ts';
import { permitsRecord } from '../search/judge-record.ts';
import type { RecordType } from '../search/record-type.ts';
import { notModified } from './conditional-read.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { FHIR_JSON_TYPE, summaryFormOf, representation, versionHeaders } from './representation.ts';

function requireRecordType(type: string): RecordType {
  if (type === 'AuditEvent' || type === 'Provenance') return type;
  throw new Error(`${type} is not a record`);
}

function permitsRow(restriction: Restriction, { body }: { body: string }): boolean {
  return restriction.kind === 'none' || permitsRecord(restriction, JSON.parse(body) as AccessEvent);
}

/** read and vread; a version other than 1 never was. */
export function readRecord(code: 'read' | 'vread'): Interaction {
  return defineInteraction({
    code,
    kind: 'read',
    async run(tx, { request, org, restriction }) {
      const type = requireRecordType(request.type);
      const row = code === 'vread' && request.version !== '1' ? undefined : await readRecordRow(tx, org.id, request.id);
      if (row === undefined || !permitsRow(restriction, row)) throw fhirError('not-found', `${type}/${request.id} is not known here`);
      const form = summaryFormOf(request);
      const lastUpdated = row.recorded.getTime();
      return {
        response: await notModified(request, { version: 1, lastUpdated, previousUpdated: async () => undefined })
          ? { status: 304, headers: versionHeaders(1, lastUpdated) }
          : representation(200, { reference: `${type}/${request.id}`, version: 1, lastUpdated, text: renderRecord(type, row.body) }, form),
        entities: [{ reference: `${type}/${request.id}/_history/1`, role: 'data' }],
      };
    },
  });
}

export function historyRecord(fhirBase: string): Interaction {
  return defineInteraction({
    code: 'history-instance',
    kind: 'read',
    async run(tx, { request, org, restriction }) {
      const type = requireRecordType(request.type);
      const row = await readRecordRow(tx, org.id, request.id);
      if (row === undefined || !permitsRow(restriction, row)) throw fhirError('not-found', `${type}/${request.id} is not known here`);
      const url = `${fhirBase}/${type}/${request.id}`;
      const head = JSON.stringify({
        fullUrl: url,
        request: { method: 'POST', url: type },
        response: { status: '201', etag: versionTag(1), lastModified: row.recorded.toISOString() },
      });
      const bundle = JSON.stringify({ resourceType: 'Bundle', type: 'history', total: 1, link: [{ relation: 'self', url: `${url}/_history` }] });
      const entry = `${head.slice(0, -1)},"resource":${renderRecord(type, row.body)}}`;
      return {
        response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: `${bundle.slice(0, -1)},"entry":[${entry}]}` },
        entities: [{ reference: `${type}/${request.id}/_history/1`, role: 'data' }],
      };
    },
  });
}
