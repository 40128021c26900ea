// /api/medical-records: what an appointment was about, as form and drawing. Saved again and again as a draft, final once;
// each explicit save is a version of a DocumentReference, by which access is judged.
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { defineInteraction, type FhirRequest, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { discardAll, receiveDocument, type PreparedDocument } from '../interactions/prepare-document.ts';
import { writeDocument } from '../interactions/write-document.ts';
import { signGrant, type SignedGrant } from '../operations/signed-url.ts';
import { patientEntity } from '../interactions/write-outcome.ts';
import { judgeVersion, requireVerdict, unknown } from '../resources/permitted-version.ts';
import { lockNewest, readNewest } from '../resources/read-version.ts';
import { markFinalised, readMedicalRecord, saveDraft, type MedicalRecordRow, type PlainObject } from '../resources/medical-records.ts';
import { readRecordFiles } from '../resources/patient-files.ts';
import type { AdapterGroup } from './adapter-route.ts';
import { RECORD_ROWS } from './describe-records.ts';
import { etagMatches } from './draft-condition.ts';
import { draftTag, recordResponse, userOf } from './medical-record-answer.ts';
import { createRecord, importSavedState, objectOf } from './medical-record-create.ts';
import { RECORD_IDENTIFIER_SYSTEM, recordDocument } from './medical-record-document.ts';
import { distinctEntities, filesToShow, plainFiles, relationsOf, showWritten, useBackground, type RecordParts } from './medical-record-files.ts';
import { listRecords } from './medical-record-list.ts';
import { DRAFT_BYTES_MAX, DRAFT_SCHEMA, PATCH_SCHEMA, readJsonObject, requireSchema, requireSound } from './medical-record-schema.ts';
import { mergePatch } from './merge-patch.ts';
import { inFhirTerms } from './translated.ts';

const DOCUMENT = typeNumber('DocumentReference');
/** A patch beside the draft that it makes: names, quotation marks. */
const BODY_BYTES_MAX = DRAFT_BYTES_MAX + 64 * 1024;

/** The row and the document that stands for it, locked where it will be changed. Raises 404, 403 and 410 as a read of the document would. */
async function loadRecord(tx: Transaction, { org, restriction, request }: InteractionContext, fhirBase: string, lock: boolean): Promise<{ row: MedicalRecordRow; document: VersionRow & { body: string } }> {
  const { id = '' } = request.parameters ?? {};
  const row = /^[1-9]\d{0,14}$/.test(id) ? await readMedicalRecord(tx, org.id, id, lock) : undefined;
  const document = row === undefined ? undefined : await (lock ? lockNewest : readNewest)(tx, org.id, DOCUMENT, row.document);
  const name = `medical record ${id.slice(0, 40)}`;
  if (row === undefined || document === undefined) throw unknown(name);
  requireVerdict(await judgeVersion(tx, restriction, document, fhirBase), name);
  if (document.body === null) throw fhirError('deleted', `The ${name} was deleted`);
  return { row, document: { ...document, body: document.body } };
}

const entitiesOf = (document: VersionRow): Outcome['entities'] => [...patientEntity(document.patient), { reference: `DocumentReference/${document.id}/_history/${document.version}`, role: 'data' }];

function readRecord(parts: RecordParts): Interaction {
  return defineInteraction({
    code: 'read',
    kind: 'read',
    run: async (tx, context): Promise<Outcome> => {
      const { row, document } = await loadRecord(tx, context, parts.fhirBase, false);
      const known = context.request.header('if-none-match');
      const entities = entitiesOf(document);
      if (known !== undefined && etagMatches(known, row.revision)) return { response: { status: 304, headers: { ETag: draftTag(row.revision) } }, entities };
      const show = await filesToShow(tx, parts, context, await readRecordFiles(tx, context.org.id, row.id));
      const complete = async (): Promise<Outcome> => {
        const { files, entities: lent } = await show();
        return { response: recordResponse(200, row, {}, files), entities: distinctEntities([...entities, ...lent]) };
      };
      return { response: recordResponse(200, row), entities, complete };
    },
  });
}

/** Raises 412 where the client saw another revision. */
function requireRevision(request: FhirRequest, { revision }: MedicalRecordRow): void {
  const expected = request.header('if-match');
  if (expected !== undefined && !etagMatches(expected, revision)) throw fhirError('version-mismatch', `The draft is at revision ${revision}`);
}

/** JSON Merge Patch (RFC 7396) on the draft: no version of the document comes of it, but a record of the access. */
function patchDraft(parts: RecordParts): Interaction {
  return defineInteraction<PlainObject>({
    code: 'patch',
    kind: 'write',
    prepare: async ({ request }) => {
      const patch = await readJsonObject(request, BODY_BYTES_MAX);
      requireSchema(PATCH_SCHEMA, patch);
      return patch;
    },
    run: async (tx, context, patch) => {
      const { row, document } = await loadRecord(tx, context, parts.fhirBase, true);
      if (row.finalised_at !== null) throw fhirError('conflict', `The medical record ${row.id} is final`);
      requireRevision(context.request, row);
      const merged = mergePatch({ drawing_data: row.drawing_data, form_data: row.form_data }, patch) as PlainObject;
      requireSchema(DRAFT_SCHEMA, merged);
      const [drawing, form] = [objectOf(merged['drawing_data']), objectOf(merged['form_data'])];
      requireSound(drawing, form);
      await useBackground(tx, parts, context, { id: row.id, patient: row.patient_id, drawing });
      const [now, user] = [new Date(context.now), userOf(context)];
      const revision = await saveDraft(tx, context.org.id, { id: row.id, drawing, form, user, now });
      const files = plainFiles(parts, await readRecordFiles(tx, context.org.id, row.id));
      return { response: recordResponse(200, { ...row, drawing_data: drawing, form_data: form, updated_at: now, updated_by_user_id: user, revision }, {}, files), entities: entitiesOf(document) };
    },
  });
}

interface FinalRecord {
  /** undefined where it is final already. */
  prepared?: PreparedDocument;
  revision: number;
  signed: SignedGrant[];
}

/** The draft becomes the document's last word: its drawing and form as bytes that change no more. Asked again it answers the same. */
function finaliseRecord(parts: RecordParts): Interaction {
  return defineInteraction<FinalRecord>({
    code: 'update',
    kind: 'write',
    prepare: async (context) => {
      const { row, files } = await context.read(async (tx) => {
        const loaded = await loadRecord(tx, context, parts.fhirBase, false);
        return { ...loaded, files: await readRecordFiles(tx, context.org.id, loaded.row.id) };
      });
      const signed = await Promise.all(files.map(() => signGrant(parts, context)));
      if (row.finalised_at !== null) return { revision: row.revision, signed };
      requireRevision(context.request, row);
      const resource = recordDocument({
        appointment: row.appointment_id, template: row.template_id, patient: row.patient_id, drawing: row.drawing_data, form: row.form_data,
        author: context.principal.fhirUser, final: true, now: context.now, fhirBase: parts.fhirBase, ...relationsOf(files),
      });
      resource['identifier'] = [{ system: RECORD_IDENTIFIER_SYSTEM, value: row.id }];
      return { prepared: await receiveDocument(parts, inFhirTerms(context, {}), resource), revision: row.revision, signed };
    },
    run: async (tx, context, { prepared, revision, signed }) => {
      const { row, document } = await loadRecord(tx, context, parts.fhirBase, true);
      const { files, entities } = await showWritten(tx, parts, context, await readRecordFiles(tx, context.org.id, row.id), signed);
      if (prepared === undefined) return { response: recordResponse(200, row, {}, files), entities: distinctEntities([...entitiesOf(document), ...entities]) };
      if (row.revision !== revision) throw fhirError('conflict', 'The draft was saved meanwhile; finalise it again', { headers: { 'Retry-After': '1' } });
      const outcome = await writeDocument(parts, tx, inFhirTerms(context, {}), { id: row.document, method: 'PUT', prepared, previous: document });
      const [now, user] = [new Date(context.now), userOf(context)];
      await markFinalised(tx, context.org.id, { id: row.id, user, now });
      const { version: _version, ...rest } = outcome;
      return { ...rest, entities: distinctEntities([...rest.entities, ...entities]), response: recordResponse(200, { ...row, finalised_at: now, updated_at: now, updated_by_user_id: user, revision: revision + 1 }, {}, files) };
    },
    abandon: (context, { prepared }) => discardAll(parts.content, context, prepared?.moved.map(({ received }) => received) ?? []),
  });
}

export function medicalRecords(parts: RecordParts): AdapterGroup {
  const type = 'DocumentReference' as const;
  return {
    prefix: 'api/medical-records',
    crossOrigin: true,
    routes: [
      { method: 'POST', path: '', type, access: { interaction: 'create' }, interaction: createRecord(parts), says: RECORD_ROWS.create },
      { method: 'POST', path: '$import-saved-state', type, access: { interaction: 'create' }, interaction: importSavedState(parts), says: RECORD_ROWS.importSaved },
      { method: 'GET', path: '', type, access: { interaction: 'search-type' }, interaction: listRecords(parts.fhirBase), says: RECORD_ROWS.list },
      { method: 'GET', path: '[id]', type, access: { interaction: 'read' }, interaction: readRecord(parts), says: RECORD_ROWS.read },
      { method: 'PATCH', path: '[id]/draft', type, access: { interaction: 'patch' }, interaction: patchDraft(parts), says: RECORD_ROWS.draft },
      { method: 'POST', path: '[id]/finalise', type, access: { interaction: 'update' }, interaction: finaliseRecord(parts), says: RECORD_ROWS.finalise },
    ],
  };
}
