// Who may read a Binary (R4 binary.html, security context): it belongs to no compartment, so its owner decides. Its
// owner is a document that points to it, the resource that its securityContext names, or, while nobody points to it,
// whoever created it.
import type { Restriction } from '../access/restriction.ts';
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { RESOURCE_TYPES, typeName, typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import type { Verdict } from '../search/judge-resource.ts';
import { judgeVersion, requireVerdict } from './permitted-version.ts';
import { readBinaryUses, readNewest, readVersion, type BinaryUse } from './read-version.ts';
import { readResource } from './resource-text.ts';

export interface BinaryReader {
  org: OrgId;
  /** `issuer|subject|client` of the caller. */
  creator: string;
  /** A system client sees Binaries that no document uses, unless it is confined. */
  system: boolean;
  /** Some of the documents may be hidden from the caller: whoever created a Binary has it then only as long as no document uses it. */
  confined: boolean;
  /** Scope or policy narrow what the caller may have, apart from what patients withhold. */
  limited: boolean;
  /** To what scope and role restrict the caller's reading of a type; undefined = it may not be read at all. */
  restriction: (type: ResourceType) => Restriction | undefined;
  fhirBase: string;
}

export interface BinaryOwners {
  readable: boolean;
  /** Why it is not readable: hidden, unless it is for the scope's query, the role's categories or a consent alone. */
  verdict: Verdict;
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
    text: `select 1 from attachment_use u
      cross join lateral (select deleted from resource where org = u.org and type = u.type and id = u.id offset 0) r
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
    const verdict = owner === undefined || owner.deleted ? 'hidden' : await judgeOwner(tx, reader, owner);
    return { readable: verdict === 'permitted', verdict, users, patients };
  }
  const isCreator = binary.creator === reader.creator && (!reader.confined || rows.length === 0);
  const verdicts: Verdict[] = isCreator ? ['permitted'] : await judgeUses(tx, reader, rows);
  const through = rows.length === 0 ? reader.system : verdicts.includes('permitted');
  const readable = through || isCreator;
  const verdict = readable ? 'permitted' : verdicts.find((one) => one !== 'hidden' && one !== 'permitted') ?? 'hidden';
  return { readable, verdict, users, patients };
}

async function judgeOwner(tx: Transaction, reader: BinaryReader, owner: VersionRow): Promise<Verdict> {
  const restriction = reader.restriction(typeName(owner.type));
  return restriction === undefined ? 'hidden' : judgeVersion(tx, restriction, owner, reader.fhirBase);
}

/** Each document by its newest version and by the one that points to the Binary. */
async function judgeUses(tx: Transaction, reader: BinaryReader, uses: readonly BinaryUse[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const use of uses) {
    const restriction = reader.restriction(typeName(use.type));
    if (restriction?.kind === 'none') return ['permitted'];
    const newest = restriction === undefined ? undefined : await readNewest(tx, reader.org, use.type, use.id);
    if (newest === undefined) { verdicts.push('hidden'); continue; }
    const verdict = await judgeOwner(tx, reader, newest);
    const pointing = verdict === 'permitted' && newest.version !== use.version ? await readVersion(tx, reader.org, use.type, use.id, use.version) : newest;
    verdicts.push(pointing === undefined || pointing === newest ? verdict : await judgeOwner(tx, reader, pointing));
  }
  return verdicts;
}

/** Raises 404 for a Binary that is hidden from the caller, 403 where its documents are outside the scope's query or the role's categories, or withheld. */
export function requireReadable({ verdict }: BinaryOwners, reference: string): void {
  requireVerdict(verdict, reference);
}
