// Whether a stored version is within what the caller may have: by its own text and by that of the newest, so that what
// left the caller's reach takes its history along. A deletion is judged by the text before it.
import type { Restriction } from '../access/restriction.ts';
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { JsonObject } from '../fhir/json.ts';
import { typeName } from '../fhir/resource-type.ts';
import { judgeResource, type Verdict } from '../search/judge-resource.ts';
import { readNewest, readVersion } from './read-version.ts';
import { readResource } from './resource-text.ts';

export const forbidden = (reference: string): Error =>
  fhirError('forbidden', `The scope or the role does not reach ${reference}`, { headers: { 'WWW-Authenticate': 'Bearer realm="Muniment", error="insufficient_scope"' } });

export const unknown = (reference: string): Error => fhirError('not-found', `${reference} is not known here`);

/** A wider scope would not help, so that nothing is said of scopes. */
function consentDenied(verdict: 'withheld' | 'unknown', what: string, expression?: string): Error {
  const text = verdict === 'withheld' ? `A consent of the patient withholds ${what}` : `The consents of patients cannot be asked for at present, so ${what} is withheld for its security label`;
  return fhirError('consent-denied', text, expression === undefined ? {} : { expression });
}

/** Raises 404 or 403 as the verdict says. */
export function requireVerdict(verdict: Verdict, reference: string): void {
  if (verdict === 'hidden') throw unknown(reference);
  if (verdict === 'forbidden') throw forbidden(reference);
  if (verdict !== 'permitted') throw consentDenied(verdict, reference);
}

type Text = Pick<VersionRow, 'org' | 'type' | 'id' | 'version' | 'body'>;

/** One version by itself. */
export async function judgeVersion(tx: Transaction, restriction: Restriction, row: Text, fhirBase: string): Promise<Verdict> {
  if (restriction.kind === 'none') return 'permitted';
  const text = row.body ?? (await readVersion(tx, row.org, row.type, row.id, row.version - 1))?.body ?? null;
  return text === null ? 'hidden' : judgeResource(restriction, typeName(row.type), readResource(text), fhirBase);
}

/** Raises 404 for a version outside the caller's patient, 403 for one outside the query of the scope or the categories of the role. */
export async function requirePermitted(tx: Transaction, restriction: Restriction, row: Text, fhirBase: string): Promise<void> {
  if (restriction.kind === 'none') return;
  requireVerdict(await judgeVersion(tx, restriction, row, fhirBase), `${typeName(row.type)}/${row.id}`);
}

/** The same for an older version, and for the newest of its resource. */
export async function requirePermittedHistory(tx: Transaction, restriction: Restriction, row: Text, fhirBase: string): Promise<void> {
  if (restriction.kind === 'none') return;
  const newest = await readNewest(tx, row.org, row.type, row.id);
  if (newest !== undefined) await requirePermitted(tx, restriction, newest, fhirBase);
  await requirePermitted(tx, restriction, row, fhirBase);
}

/** The same as an answer. */
export async function isPermittedHistory(tx: Transaction, restriction: Restriction, row: Text, fhirBase: string): Promise<boolean> {
  if (restriction.kind === 'none') return true;
  const newest = await readNewest(tx, row.org, row.type, row.id);
  return newest !== undefined && await judgeVersion(tx, restriction, newest, fhirBase) === 'permitted' && await judgeVersion(tx, restriction, row, fhirBase) === 'permitted';
}

interface LastText {
  type: number;
  id: string;
  body: string | null;
}

/** Those of the versions that are permitted, each by the restriction of its type. A deletion among them is judged by the newest alone. */
export async function permittedVersions<Row extends Text>(tx: Transaction, org: OrgId, restrictions: ReadonlyMap<number, Restriction>, rows: readonly Row[], fhirBase: string): Promise<Row[]> {
  const confined = [...new Map(rows.filter(({ type }) => restrictions.get(type)?.kind !== 'none').map((row) => [`${row.type}/${row.id}`, row])).values()];
  if (confined.length === 0) return [...rows];
  const { rows: newest } = await tx.query<LastText>({
    name: 'read-last-texts',
    text: `select r.type, r.id, coalesce(r.body, (select h.body from resource_history h where h.org = r.org and h.type = r.type and h.id = r.id and h.version = r.version - 1)) as body
      from unnest($2::smallint[], $3::text[]) as wanted (type, id)
      cross join lateral (select * from resource v where v.org = $1 and v.type = wanted.type and v.id = wanted.id offset 0) r`,
    values: [org, confined.map(({ type }) => type), confined.map(({ id }) => id)],
  });
  const isPermitted = (type: number, body: string | null): boolean => {
    const restriction = restrictions.get(type) ?? { kind: 'nothing' };
    return restriction.kind === 'none' || (body !== null && judgeResource(restriction, typeName(type), readResource(body), fhirBase) === 'permitted');
  };
  const reached = new Set(newest.filter(({ type, body }) => isPermitted(type, body)).map(({ type, id }) => `${type}/${id}`));
  return rows.filter(({ type, id, body }) => restrictions.get(type)?.kind === 'none' || (reached.has(`${type}/${id}`) && (body === null || isPermitted(type, body))));
}

/** Raises 403 where what a write makes would lie outside. */
export function requireResult(restriction: Restriction, type: string, resource: JsonObject, fhirBase: string): void {
  const verdict = judgeResource(restriction, type, resource, fhirBase);
  if (verdict === 'withheld' || verdict === 'unknown') throw consentDenied(verdict, `what this would make of the ${type}`, type);
  if (verdict !== 'permitted') {
    throw fhirError('forbidden', `What this would make of the ${type} lies outside the scope or the role`, { expression: type, headers: { 'WWW-Authenticate': 'Bearer realm="Muniment", error="insufficient_scope"' } });
  }
}
