// Organisations: text in tokens, a surrogate number inside. The numbers never change, so a server remembers them.
import type { Database } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';

export interface Organisations {
  /** The number of an organisation. An unknown one is made on first use, or refused with 403 where `openOnUse` is off. */
  resolve(name: string): Promise<OrgId>;
  /** Makes an organisation that is not there yet, whatever `openOnUse` says. */
  open(name: string): Promise<OrgId>;
}

const REMEMBERED_MAX = 100_000;

export function createOrganisations(database: Pick<Database, 'query'>, openOnUse: boolean): Organisations {
  const known = new Map<string, OrgId>();

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

  return {
    open,
    async resolve(name) {
      const remembered = known.get(name);
      if (remembered !== undefined) return remembered;
      const id = await find(name);
      if (id !== undefined) return remember(name, id);
      if (!openOnUse) throw fhirError('forbidden', 'This organisation is not open on this server');
      return open(name);
    },
  };
}
