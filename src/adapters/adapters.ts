// The ways in beside FHIR that this server has.
import type { DocumentParts } from '../interactions/prepare-document.ts';
import type { AdapterGroup } from './adapter-route.ts';
import { medicalRecords } from './medical-records.ts';

export type AdapterParts = DocumentParts;

export function buildAdapters(parts: AdapterParts): AdapterGroup[] {
  return [medicalRecords(parts)];
}
