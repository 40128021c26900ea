// What a write leaves for the record: the versions touched, and the full Provenance (R4 provenance.html).
import type { AccessEntity, AccessWrite } from '../audit/access-event.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import type { Published } from '../resources/publish-document.ts';
import type { FhirResponse, Outcome } from './interaction.ts';

export interface WriteDescription {
  response: FhirResponse;
  type: ResourceType;
  id: string;
  published: Published;
  activity: 'CREATE' | 'UPDATE';
  /** Version number before this one. */
  previous: number | undefined;
  named: { authors: string[]; custodian?: string };
}

export function patientEntity(patient: string | null): AccessEntity[] {
  return patient === null ? [] : [{ reference: patient.includes('/') ? patient : `Patient/${patient}`, role: 'patient' }];
}

export function writeOutcome(written: WriteDescription): Outcome {
  const { published, type, id } = written;
  const target = `${type}/${id}/_history/${published.version}`;
  const made = published.made.map((binary) => `Binary/${binary.id}/_history/${binary.version}`);
  const linked = published.linked.map((binary) => `Binary/${binary.id}/_history/${binary.version}`);
  const write: AccessWrite = {
    activity: written.activity,
    targets: [target, ...made],
    sources: [
      ...linked.map((reference) => ({ role: 'source' as const, reference })),
      ...(written.previous === undefined ? [] : [{ role: 'revision' as const, reference: `${type}/${id}/_history/${written.previous}` }]),
    ],
    ...written.named,
  };
  return {
    response: written.response,
    entities: [...patientEntity(published.patient), { reference: target, role: 'data' }, ...made.map((reference) => ({ reference, role: 'data' as const }))],
    ...(published.changed ? { write } : {}),
    version: { type, id, version: published.version },
  };
}
