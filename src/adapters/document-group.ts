// The customer's documents API: /documents, over the interactions of DocumentReference and Binary.
import type { ContentReader } from '../content/read-content.ts';
import type { SearchParts } from '../interactions/run-search.ts';
import type { LendThumbnails } from '../operations/lend-thumbnails.ts';
import type { GrantOperationParts } from '../operations/named-grant.ts';
import type { NewestLoader } from '../resources/load-newest.ts';
import type { AdapterGroup, AdapterRoute } from './adapter-route.ts';
import { annotationInteractions } from './annotations.ts';
import { bulkUpload, type BulkParts } from './bulk-upload.ts';
import type { DocumentFields } from './document-fields.ts';
import { ANNOTATION_ROWS, DOCUMENT_ROWS } from './describe-documents.ts';
import { listDocuments } from './document-list.ts';
import { binaryOf, deleteDocument, downloadDocument, readDocument } from './document-read.ts';
import { documentThumbnail } from './document-thumbnails.ts';
import { uploadDocument } from './document-upload.ts';
import { withSignedUrl } from './lent-upload.ts';
import type { RowDescription } from './row-description.ts';

export interface DocumentGroupParts extends BulkParts, SearchParts, GrantOperationParts {
  reader: ContentReader;
  newest: NewestLoader;
  lend: LendThumbnails;
}

/** The five fields of the proof of concept. */
const uploaded = ({ id, filename, size, upload_date, patient_id }: DocumentFields): unknown => ({ id, filename, size, upload_date, patient_id });

export function documentGroup(parts: DocumentGroupParts): AdapterGroup {
  const { fhirBase, lend, newest, reader } = parts;
  const documentsUrl = fhirBase.replace(/\/fhir$/, '/documents');
  const shown = { fhirBase, documentsUrl, lend };
  const row = (method: AdapterRoute['method'], path: string, interaction: AdapterRoute['interaction'], access: AdapterRoute['access']['interaction'], says: RowDescription): AdapterRoute => ({ method, path, interaction, access: { interaction: access }, type: 'DocumentReference', says });
  const annotations = annotationInteractions({ ...parts, documentsUrl });
  return {
    prefix: 'documents',
    crossOrigin: true,
    routes: [
      row('POST', '', withSignedUrl(parts, documentsUrl, uploadDocument(parts, { documentsUrl, show: (fields) => fields })), 'create', DOCUMENT_ROWS.upload),
      row('POST', 'upload', uploadDocument(parts, { documentsUrl, show: uploaded }), 'create', DOCUMENT_ROWS.uploadShort),
      { ...row('POST', 'bulk', bulkUpload(parts, { documentsUrl, show: (fields) => fields }), 'create', DOCUMENT_ROWS.bulk), tellsProgress: true },
      row('GET', '', listDocuments(parts, shown), 'search-type', DOCUMENT_ROWS.list),
      row('GET', '[id]', readDocument(newest, shown), 'read', DOCUMENT_ROWS.read),
      row('GET', '[id]/download', downloadDocument({ fhirBase, content: reader }), 'read', DOCUMENT_ROWS.download),
      row('GET', '[id]/thumbnail', documentThumbnail(parts, binaryOf), 'read', DOCUMENT_ROWS.thumbnail),
      row('DELETE', '[id]', deleteDocument(fhirBase), 'delete', DOCUMENT_ROWS.delete),
      row('POST', '[id]/annotations', annotations.create, 'create', ANNOTATION_ROWS.create),
      row('GET', '[id]/annotations', annotations.list, 'search-type', ANNOTATION_ROWS.list),
      row('GET', '[id]/annotations/[annotation]', annotations.read, 'read', ANNOTATION_ROWS.read),
      row('PUT', '[id]/annotations/[annotation]', annotations.put, 'update', ANNOTATION_ROWS.put),
      row('PATCH', '[id]/annotations/[annotation]', annotations.patch, 'patch', ANNOTATION_ROWS.patch),
      row('DELETE', '[id]/annotations/[annotation]', annotations.delete, 'delete', ANNOTATION_ROWS.delete),
    ],
  };
}
