// Who may read a Binary (R4 binary.html, security context): it belongs to no compartment, so its owner decides. Its
// owner is a document that points to it, the resource that its securityContext names, or, while nobody points to it,
// whoever created it.
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { RESOURCE_TYPES, typeName, typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { readBinaryUses, readNewest } from './read-version.ts';
import { readResource } from './resource-text.ts';

export interface BinaryReader {
  org: OrgId;
  /** `issuer|subject|client` of the caller. */
  creator: string;
  /** A system client sees Binaries that no document uses. */
  system: boolean;
  /** Whether scope and role let the caller read resources of a type. */
  mayRead: (type: ResourceType) => boolean;
  fhirBase: string;
}

export interface BinaryOwners {
  readable: boolean;
  /** Versioned references of the documents that use it. */
  users: string[];
  patients: string[];
}

function contextOf(binary: VersionRow, fhirBase: string): { type: ResourceType; id: string } | undefined {
  const resource = binary.body === null ? {} : readResource(binary.body);
  const context = resource['securityContext'] as { reference?: string } | undefined;
  const local = context?.reference === undefined ? undefined : parseLocalReference(context.reference, fhirBase);
  return local !== undefined && Object.hasOwn(RESOURCE_TYPES, local.type) && local.type !== 'Patient' ? { type: local.type as ResourceType, id: local.id } : undefined;
}

/** Whether a document that is not deleted points to the Binary, be it in an older version. */
export async function isBinaryInUse(tx: Transaction, org: OrgId, id: string): Promise<boolean> {
  const { rows } = await tx.query({
    name: 'binary-in-use',
    text: `select 1 from attachment_use u join resource r on r.org = u.org and r.type = u.type and r.id = u.id
      where u.org = $1 and u."binary" = $2 and not r.deleted limit 1`,
    values: [org, id],
  });
  return rows.length > 0;
}

/** Whether the caller may read the bytes, and through which documents. */
export async function findBinaryOwners(tx: Transaction, reader: BinaryReader, binary: VersionRow): Promise<BinaryOwners> {
  const rows = await readBinaryUses(tx, reader.org, binary.id);
  const users = rows.map((row) => `${typeName(row.type)}/${row.id}/_history/${row.version}`);
  const patients = [...new Set(rows.flatMap((row) => (row.patient === null || row.patient.includes('/') ? [] : [`Patient/${row.patient}`])))];
  const context = contextOf(binary, reader.fhirBase);
  if (context !== undefined) {
    const owner = await readNewest(tx, reader.org, typeNumber(context.type), context.id);
    return { readable: owner !== undefined && !owner.deleted && reader.mayRead(context.type), users, patients };
  }
  const through = rows.length === 0 ? reader.system : rows.some((row) => reader.mayRead(typeName(row.type)));
  return { readable: through || binary.creator === reader.creator, users, patients };
}
