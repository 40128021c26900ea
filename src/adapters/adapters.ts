// The ways in beside FHIR that this server has.
import type { AdapterGroup } from './adapter-route.ts';
import { adminRoutes, type AdminParts } from './admin-routes.ts';
import { documentGroup, type DocumentGroupParts } from './document-group.ts';
import { fileGroup } from './file-group.ts';
import type { FileParts } from './file-parts.ts';
import { graphql, type GraphqlParts } from './graphql.ts';
import { medicalRecords } from './medical-records.ts';
import { patientFiles, type PatientFileParts } from './patient-files.ts';
import { profileImages, type ProfileParts } from './profile-images.ts';
import type { ResumableParts } from './resumable-receive.ts';
import { resumableUploads } from './resumable-uploads.ts';

export type AdapterParts = DocumentGroupParts & AdminParts & PatientFileParts & FileParts & ResumableParts & GraphqlParts & ProfileParts;

export function buildAdapters(parts: AdapterParts): AdapterGroup[] {
  return [fileGroup(parts), documentGroup(parts), medicalRecords(parts), patientFiles(parts), adminRoutes(parts), resumableUploads(parts), graphql(parts), profileImages(parts)];
}
