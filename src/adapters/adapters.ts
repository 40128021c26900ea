// The ways in beside FHIR that this server has.
import type { DocumentParts } from '../interactions/prepare-document.ts';
import type { AdapterGroup } from './adapter-route.ts';
import { adminRoutes, type AdminParts } from './admin-routes.ts';
import { medicalRecords } from './medical-records.ts';

export type AdapterParts = DocumentParts & AdminParts;

export function buildAdapters(parts: AdapterParts): AdapterGroup[] {
  return [medicalRecords(parts), adminRoutes(parts)];
}
