// Organisations: text in tokens, a surrogate number inside that never changes; open or disabled, each with its policy.
import { SHIPPED_POLICY, type Policy } from '../access/policy.ts';
import type { Database } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { LIMITS_COLUMNS, limitsOf, type LimitsRow, type OrganisationLimits } from './organisation-limits.ts';
import { readPolicy } from './policy-versions.ts';

/** What the doorway needs of an organisation; never older than 5 s. */
export interface AdmittedOrganisation {
  id: OrgId;
  name: string;
  disabled: boolean;
  /** A change of what exists must name its version. */
  requireIfMatch: boolean;
  /** Signed URLs may lead to the store itself. */
  directUrls: boolean;
  policy: Policy;
  limits: OrganisationLimits;
}

export interface Organisations {
  /** The number of an organisation. An unknown one is made on first use, or refused with 403 where `openOnUse` is off. */
  resolve(name: string): Promise<OrgId>;
  /** Makes an organisation that is not there yet, whatever `openOnUse` says. */
  open(name: string): Promise<OrgId>;
  /** The organisation with its policy. What a server changed holds there at once, and on any other within 5 s. */
  admit(name: string): Promise<AdmittedOrganisation>;
  /** Called where it was changed: the next request reads it anew. */
  forget(name: string): void;
}

const REMEMBERED_MAX = 100_000;
/** Younger than this it is used as it is; then it is used while it is read again; older than this it is waited for. */
const FRESH_MS = 2_000;
const STALE_MS = 5_000;

interface Remembered {
  organisation: AdmittedOrganisation;
  /** When its reading began, by the clock that never jumps. */
  readAt: number;
}

type OrganisationDatabase = Pick<Database, 'query' | 'select'>;

/** Reads settings and policy; the policy object stays the same while its version does. */
async function readOrganisation(database: OrganisationDatabase, id: OrgId, name: string, known: Policy): Promise<AdmittedOrganisation> {
  const { rows } = await database.select<{ disabled: boolean; require_if_match: boolean; direct_urls: boolean; version: number | null } & LimitsRow>(id, {
    name: 'admit-organisation',
    text: `select disabled_at is not null as disabled, require_if_match, direct_urls, (select max(version) from policy_version where org = $1) as version, ${LIMITS_COLUMNS}
      from organisation where id = $1`,
    values: [id],
  });
  const row = rows[0];
  if (row === undefined) throw new Error('An organisation that was known cannot be found');
  const version = row.version ?? 0;
  const policy = version === known.version ? known : await readPolicy(database, id, version);
  return { id, name, disabled: row.disabled, requireIfMatch: row.require_if_match, directUrls: row.direct_urls, policy, limits: limitsOf(row) };
}

export function createOrganisations(database: OrganisationDatabase, openOnUse: boolean, clock: () => number = () => performance.now()): Organisations {
  const known = new Map<string, OrgId>();
  const admitted = new Map<string, Remembered>();
  const readings = new Map<string, Promise<AdmittedOrganisation>>();

  async function find(name: string): Promise<OrgId | undefined> {
    const { rows } = await database.query<{ id: number }>({ name: 'find-organisation', text: 'select id from organisation where name = $1', values: [name] });
    return rows[0]?.id;
  }

  function remember(name: string, id: OrgId): OrgId {
    if (known.size < REMEMBERED_MAX) known.set(name, id);
    return id;
  }

  async function open(name: string): Promise<OrgId> {
    await database.query({ text: 'insert into organisation (name) values ($1) on conflict (name) do nothing', values: [name] });
    const id = await find(name);
    if (id === undefined) throw new Error('An organisation that was made cannot be found');
    return remember(name, id);
  }

  async function resolve(name: string): Promise<OrgId> {
    const remembered = known.get(name);
    if (remembered !== undefined) return remembered;
    const id = await find(name);
    if (id !== undefined) return remember(name, id);
    if (!openOnUse) throw fhirError('forbidden', 'This organisation is not open on this server');
    return open(name);
  }

  /** One reading at a time for one organisation; one that was overtaken by `forget` is not kept. */
  function readAgain(name: string): Promise<AdmittedOrganisation> {
    const running = readings.get(name);
    if (running !== undefined) return running;
    const readAt = clock();
    const policy = admitted.get(name)?.organisation.policy ?? SHIPPED_POLICY;
    const reading = resolve(name).then((id) => readOrganisation(database, id, name, policy)).then((organisation) => {
      if (readings.get(name) === reading && (admitted.size < REMEMBERED_MAX || admitted.has(name))) admitted.set(name, { organisation, readAt });
      return organisation;
    }).finally(() => { if (readings.get(name) === reading) readings.delete(name); });
    readings.set(name, reading);
    return reading;
  }

  return {
    open,
    resolve,
    async admit(name) {
      const remembered = admitted.get(name);
      const age = remembered === undefined ? Infinity : clock() - remembered.readAt;
      if (remembered === undefined || age >= STALE_MS) return readAgain(name);
      // A reading behind that fails is tried again by the next request, and waited for once the time is over.
      if (age >= FRESH_MS) readAgain(name).catch(() => undefined);
      return remembered.organisation;
    },
    forget(name) {
      admitted.delete(name);
      readings.delete(name);
    },
  };
}
