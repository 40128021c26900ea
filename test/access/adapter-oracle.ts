// What the ways in beside FHIR need, row by row, written from the documents of each and from nothing of src: the other opinion
// that the matrix over their rows is compared with. A row that stands here under no name has no opinion, and the matrix fails by it.
import { oracleVerdict, type OracleInteraction, type OracleResource, type OracleToken } from './authorization-oracle.ts';

const CATEGORY_SYSTEM = 'https://muniment.example/fhir/CodeSystem/document-category';

/** What a request is about, and whose it is. */
export interface About {
  org: string;
  patient: string;
  category: string;
}

export interface AdapterToken extends OracleToken {
  org: string;
}

/** What lies behind a row: a document, what is written onto it, a medical record, a file of a patient, the image of a person. */
type Kind = 'document' | 'annotation' | 'record' | 'file' | 'image';

/** `held` must be reached, `made` is what comes of it, `placed` the same under an id of its own, which tells nobody whether it is there; `listed` may be left out. */
interface Need {
  interaction: OracleInteraction;
  of: Kind;
  how: 'held' | 'made' | 'placed' | 'listed';
}

type Demand =
  /** The first letter is asked at the door, on `type`; then each need by its resource, in this order. */
  | { door: OracleInteraction; type: 'DocumentReference' | 'Media' | 'Binary'; needs: readonly Need[]; own?: true }
  /** `others`: what administrators of another organisation find there; what the path names is `hidden` from them, else they have their `own`. */
  | { administration: 'r' | 'u'; operator?: true; others?: 'hidden' | 'own'; needs?: readonly Need[] }
  /** Whoever has a token may ask; what is behind it is asked field by field. */
  | 'token'
  /** The path is the credential, whatever token comes along. */
  | 'path';

const held = (interaction: OracleInteraction, of: Kind): Need => ({ interaction, of, how: 'held' });
const made = (interaction: OracleInteraction, of: Kind): Need => ({ interaction, of, how: 'made' });
const placed = (interaction: OracleInteraction, of: Kind): Need => ({ interaction, of, how: 'placed' });
const listed = (of: Kind): Need => ({ interaction: 'search-type', of, how: 'listed' });
const documents = (door: OracleInteraction, ...needs: Need[]): Demand => ({ door, type: 'DocumentReference', needs });
const images = (door: OracleInteraction, ...needs: Need[]): Demand => ({ door, type: 'Media', needs });
/** Of whoever began it alone. */
const UPLOAD: Demand = { door: 'create', type: 'Binary', needs: [], own: true };
const BOTH = [held('read', 'document'), held('read', 'annotation')];
const LOOK: Demand = { administration: 'r' };
const CHANGE: Demand = { administration: 'u' };

const DEMANDS: Readonly<Record<string, Demand>> = {
  'GET files/[token]': 'path',
  'PUT files/[token]': 'path',
  'POST files/[token]': 'path',
  'POST documents': documents('create', made('create', 'document')),
  'POST documents/upload': documents('create', made('create', 'document')),
  'POST documents/bulk': documents('create', made('create', 'document')),
  'GET documents': documents('search-type', listed('document')),
  'GET documents/[id]': documents('read', held('read', 'document')),
  'GET documents/[id]/download': documents('read', held('read', 'document')),
  'GET documents/[id]/thumbnail': documents('read', held('read', 'document')),
  'DELETE documents/[id]': documents('delete', held('delete', 'document')),
  'POST documents/[id]/annotations': documents('create', held('read', 'document'), made('create', 'annotation')),
  'GET documents/[id]/annotations': documents('search-type', held('read', 'document'), listed('annotation')),
  'GET documents/[id]/annotations/[annotation]': documents('read', ...BOTH),
  'PUT documents/[id]/annotations/[annotation]': documents('update', ...BOTH, held('update', 'annotation')),
  'PATCH documents/[id]/annotations/[annotation]': documents('patch', ...BOTH, held('patch', 'annotation')),
  'DELETE documents/[id]/annotations/[annotation]': documents('delete', ...BOTH, held('delete', 'annotation')),
  'POST api/medical-records': documents('create', made('create', 'record')),
  'POST api/medical-records/$import-saved-state': documents('create', made('create', 'record')),
  'GET api/medical-records': documents('search-type', listed('record')),
  'GET api/medical-records/[id]': documents('read', held('read', 'record')),
  'PATCH api/medical-records/[id]/draft': documents('patch', held('patch', 'record')),
  'POST api/medical-records/[id]/finalise': documents('update', held('update', 'record'), made('update', 'record')),
  'POST api/patients/[id]/files': documents('create', made('create', 'file')),
  'POST uploads': { door: 'create', type: 'Binary', needs: [] },
  'HEAD uploads/[upload]': UPLOAD,
  'PATCH uploads/[upload]': UPLOAD,
  'DELETE uploads/[upload]': UPLOAD,
  'POST graphql': 'token',
  'PUT profiles/[kind]/[id]/image': images('update', placed('update', 'image')),
  'GET profiles/[kind]/[id]/image': images('read', held('read', 'image')),
  'DELETE profiles/[kind]/[id]/image': images('delete', held('delete', 'image')),
  'GET admin/organisations': { administration: 'r', operator: true },
  'POST admin/organisations': { administration: 'u', operator: true },
  'GET admin/organisations/[name]': { administration: 'r', operator: true },
  'PATCH admin/organisations/[name]': { administration: 'u', operator: true },
  'GET admin/policy': LOOK,
  'PUT admin/policy': CHANGE,
  'GET admin/policy/versions': LOOK,
  'GET admin/policy/versions/[version]': { administration: 'r', others: 'own' },
  'POST admin/policy/$explain': LOOK,
  'GET admin/break-glass': LOOK,
  'GET admin/break-glass/[id]': LOOK,
  'POST admin/break-glass/[id]/$review': CHANGE,
  'GET admin/deliveries': LOOK,
  'POST admin/deliveries/$replay': CHANGE,
  'GET admin/deliveries/[type]/[id]': LOOK,
  'POST admin/deliveries/[type]/[id]/$replay': CHANGE,
  'POST admin/deliveries/[type]/[id]/$skip': CHANGE,
  'GET admin/files': LOOK,
  'GET admin/files/[fileId]': LOOK,
  'POST admin/files/[fileId]/$link': { administration: 'u', needs: [made('create', 'document')] },
  'GET admin/file-events': LOOK,
  'GET admin/jobs': { administration: 'r', operator: true },
  'GET admin/quota': LOOK,
  'GET admin/holds': LOOK,
  'POST admin/holds': CHANGE,
  'GET admin/holds/[id]': LOOK,
  'POST admin/holds/[id]/$lift': CHANGE,
  'GET admin/retention': LOOK,
  'GET admin/purges': LOOK,
  'POST admin/purges': { administration: 'u', others: 'hidden' },
  'GET admin/purges/[id]': LOOK,
  'POST admin/purges/[id]/$approve': CHANGE,
  'POST admin/purges/[id]/$withdraw': CHANGE,
};

export const ORACLE_ROWS = Object.keys(DEMANDS);

/** Raises an Error that names a row of which nothing is said. */
export function demandOf(row: string): Demand {
  const demand = Object.hasOwn(DEMANDS, row) ? DEMANDS[row] : undefined;
  if (demand === undefined) throw new Error(`The matrix has no opinion on ${row}: test/access/adapter-oracle.ts lacks it`);
  return demand;
}

/** `done`: it happens, and `shows` says whether a list has it. `challenge`: whether insufficient_scope is told, where that is certain. */
export type AdapterVerdict =
  | { kind: 'done'; shows?: boolean }
  | { kind: 'refused'; status: 403 | 404; why: 'scope' | 'role' | 'hidden' | 'outside' | 'organisation'; challenge?: boolean };

/** What lies behind `kind`; what a token made has its user as author, who is in reach of it where that is a patient. */
function resourceOf(kind: Kind, { patient, category }: About, by?: AdapterToken): OracleResource {
  if (kind === 'image') return { type: 'Media', subject: patient, patients: [patient], codes: { status: [['http://hl7.org/fhir/event-status', 'completed']] } };
  const own = { document: [category], annotation: ['annotation', category], record: ['clinical-note'], file: ['other'] }[kind];
  const author = by?.fhirUser.startsWith('Patient/') === true ? [by.fhirUser.slice('Patient/'.length)] : [];
  return {
    type: 'DocumentReference', subject: patient, patients: [...new Set([patient, ...author])],
    codes: { category: own.map((code) => [CATEGORY_SYSTEM, code] as const), status: [['http://hl7.org/fhir/document-reference-status', 'current']] },
  };
}

/** With patient/ scopes alone, what is written is about that patient and nobody else. */
const confinedTo = ({ scope, patient }: AdapterToken): string | undefined => (/(?:^| )(?:user|system)\//.test(scope) ? undefined : patient);

function judged(token: AdapterToken, { interaction, of, how }: Need, about: About): AdapterVerdict {
  const isNew = how === 'made' || how === 'placed';
  const resource = resourceOf(of, about, isNew ? token : undefined);
  const atAll = oracleVerdict(token, interaction, resource.type);
  const verdict = atAll !== 'permit' ? atAll : isNew || about.org === token.org ? oracleVerdict(token, interaction, resource.type, resource) : 'hidden';
  const confined = confinedTo(token);
  const others = isNew && confined !== undefined && resource.patients.some((patient) => patient !== confined);
  if (how === 'listed') return { kind: 'done', shows: verdict === 'permit' };
  if (verdict === 'permit' && !others) return { kind: 'done' };
  if (verdict === 'hidden' && how !== 'made') return { kind: 'refused', status: 404, why: 'hidden' };
  return { kind: 'refused', status: 403, why: verdict === 'permit' ? 'outside' : verdict };
}

function administers({ scope, roles, org }: AdapterToken, letter: 'r' | 'u', operator: boolean): AdapterVerdict {
  const letters = { r: /^(?:read|\*|c?ru?d?s?)$/, u: /^(?:write|\*|c?r?ud?s?)$/ }[letter];
  const granted = scope.split(' ').some((one) => {
    const [, permissions] = /^(?:user|system)\/(?:\*|Organization)\.([^?]+)$/.exec(one) ?? [];
    return permissions !== undefined && letters.test(permissions);
  });
  if (!granted) return { kind: 'refused', status: 403, why: 'scope', challenge: true };
  if (!roles.includes('admin')) return { kind: 'refused', status: 403, why: 'role', challenge: false };
  return operator && org !== 'demo' ? { kind: 'refused', status: 403, why: 'organisation', challenge: false } : { kind: 'done' };
}

function allOf(token: AdapterToken, needs: readonly Need[], about: About): AdapterVerdict {
  return needs.reduce<AdapterVerdict>((before, need) => (before.kind === 'refused' ? before : judged(token, need, about)), { kind: 'done' });
}

/** What a request at this row comes to that would succeed for the administrator whose data it is about. */
export function adapterVerdict(row: string, token: AdapterToken, about: About): AdapterVerdict {
  const demand = demandOf(row);
  if (demand === 'token' || demand === 'path') return { kind: 'done' };
  if ('administration' in demand) {
    const verdict = administers(token, demand.administration, demand.operator === true);
    if (verdict.kind === 'refused' || demand.operator === true) return verdict;
    const isHidden = (demand.others ?? (row.includes('[') ? 'hidden' : 'own')) === 'hidden' && about.org !== token.org;
    return isHidden ? { kind: 'refused', status: 404, why: 'hidden' } : allOf(token, demand.needs ?? [], about);
  }
  const door = oracleVerdict(token, demand.door, demand.type);
  if (door === 'scope' || door === 'role') return { kind: 'refused', status: 403, why: door, challenge: door === 'scope' };
  if (demand.own === true) return { kind: 'refused', status: 404, why: 'hidden' };
  return allOf(token, demand.needs, about);
}
