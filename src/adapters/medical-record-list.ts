// GET /api/medical-records: newest first, by appointment, patient or a shape in the drawing. What the caller may not have is left out.
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { defineInteraction, type FhirRequest, type Interaction, type Outcome } from '../interactions/interaction.ts';
import { patientEntity } from '../interactions/write-outcome.ts';
import type { AccessEntity } from '../audit/access-event.ts';
import { listMedicalRecords, type MedicalRecordFilter, type PlainObject } from '../resources/medical-records.ts';
import { judgeVersion } from '../resources/permitted-version.ts';
import { jsonResponse, recordMembers } from './medical-record-answer.ts';

const COUNT = 20;
const COUNT_MAX = 100;
/** What one request looks through at most; the next page goes on from there. */
const LOOKED_MAX = 1_000;

interface Asked {
  filter: MedicalRecordFilter;
  count: number;
}

function asked({ query }: FhirRequest): Asked {
  const known = ['shape-type', 'appointment_id', 'patient_id', '_count', 'before'];
  const values = new Map<string, string>();
  for (const [name, value] of query) {
    if (!known.includes(name) || values.has(name)) throw fhirError('invalid-parameter', `The parameter ${name.slice(0, 64)} is not known here, or stands twice`);
    values.set(name, value);
  }
  const [shapeType, appointment, patient, before] = ['shape-type', 'appointment_id', 'patient_id', 'before'].map((name) => values.get(name));
  if (shapeType !== undefined && !['circle', 'rect', 'arrow', 'text'].includes(shapeType)) throw fhirError('invalid-parameter', 'shape-type is circle, rect, arrow or text');
  if (before !== undefined && !/^[1-9]\d{0,14}$/.test(before)) throw fhirError('invalid-parameter', 'before is the id of a record');
  const count = values.get('_count') ?? String(COUNT);
  if (!/^\d{1,9}$/.test(count) || Number(count) === 0) throw fhirError('invalid-parameter', '_count is a whole number above 0');
  return {
    filter: {
      ...(shapeType === undefined ? {} : { shapeType }), ...(appointment === undefined ? {} : { appointment }), ...(patient === undefined ? {} : { patient: patient.replace(/^Patient\//, '') }), ...(before === undefined ? {} : { before }),
    },
    count: Math.min(Number(count), COUNT_MAX),
  };
}

export function listRecords(fhirBase: string): Interaction {
  return defineInteraction({
    code: 'search-type',
    kind: 'read',
    run: async (tx, { request, org, restriction }): Promise<Outcome> => {
      const { filter, count } = asked(request);
      const shown: PlainObject[] = [];
      const byPatient = new Map<string, AccessEntity[]>();
      const entities: AccessEntity[] = [];
      let before = filter.before;
      let more = true;
      for (let looked = 0; more && shown.length < count && looked < LOOKED_MAX;) {
        const rows = await listMedicalRecords(tx, org.id, { ...filter, ...(before === undefined ? {} : { before }) }, typeNumber('DocumentReference'), count);
        more = rows.length === count;
        looked += rows.length;
        for (const row of rows) {
          if (shown.length === count) { more = true; break; }
          before = row.id;
          if (await judgeVersion(tx, restriction, { ...row, id: row.document }, fhirBase) !== 'permitted') continue;
          shown.push(recordMembers(row));
          const entity: AccessEntity = { reference: `DocumentReference/${row.document}/_history/${row.version}`, role: 'data' };
          const [patient] = row.patient_id === null ? [] : patientEntity(row.patient_id);
          if (patient === undefined) entities.push(entity);
          else byPatient.set(patient.reference, [...byPatient.get(patient.reference) ?? [], entity]);
        }
      }
      const next = more && before !== undefined ? `/api/medical-records?${new URLSearchParams([...request.query.filter(([name]) => name !== 'before'), ['before', before]]).toString()}` : null;
      return { response: jsonResponse(200, { medical_records: shown, next }), entities, byPatient };
    },
  });
}
