// /admin: what administrators configure. Organisations are the operator's matter, a policy that of its own organisation.
import type { Organisations } from '../resources/organisation.ts';
import type { AdapterGroup, AdapterRoute } from './adapter-route.ts';
import { listBrokenGlass, readBrokenGlass, reviewBrokenGlass } from './admin-break-glass.ts';
import { liftLegalHold, listLegalHolds, placeLegalHold, readLegalHold } from './admin-holds.ts';
import { approvePurge, listAllPurges, listRetention, readOnePurge, requestPurge, withdrawPurge, type PurgeAdminParts } from './admin-purges.ts';
import { configureOneOrganisation, listAllOrganisations, openNewOrganisation, readOneOrganisation } from './admin-organisations.ts';
import { explainOwnPolicy, listOwnPolicies, readOwnPolicy, readOwnPolicyVersion, replaceOwnPolicy } from './admin-policy.ts';

export interface AdminParts extends PurgeAdminParts {
  organisations: Organisations;
  /** Whose administrators open and configure organisations. */
  operatorOrg: string;
}


/** Pages of other origins may not call: no answer here has CORS headers. */
export function adminRoutes({ organisations, operatorOrg, ...parts }: AdminParts): AdapterGroup {
  const row = (method: AdapterRoute['method'], path: string, interaction: AdapterRoute['interaction'], administration: NonNullable<AdapterRoute['access']['administration']>): AdapterRoute =>
    ({ method, path, interaction, type: 'Organization', access: { interaction: 'operation', administration } });
  const operator = (letter: 'r' | 'u'): { letter: 'r' | 'u'; org: string } => ({ letter, org: operatorOrg });
  return {
    prefix: 'admin',
    crossOrigin: false,
    headers: { 'Cache-Control': 'no-store' },
    routes: [
      row('GET', 'organisations', listAllOrganisations(), operator('r')),
      row('POST', 'organisations', openNewOrganisation(organisations), operator('u')),
      row('GET', 'organisations/[name]', readOneOrganisation(), operator('r')),
      row('PATCH', 'organisations/[name]', configureOneOrganisation(organisations, operatorOrg), operator('u')),
      row('GET', 'policy', readOwnPolicy(), { letter: 'r' }),
      row('PUT', 'policy', replaceOwnPolicy(organisations), { letter: 'u' }),
      row('GET', 'policy/versions', listOwnPolicies(), { letter: 'r' }),
      row('GET', 'policy/versions/[version]', readOwnPolicyVersion(), { letter: 'r' }),
      row('GET', 'break-glass', listBrokenGlass(), { letter: 'r' }),
      row('GET', 'break-glass/[id]', readBrokenGlass(), { letter: 'r' }),
      row('POST', 'break-glass/[id]/$review', reviewBrokenGlass(), { letter: 'u' }),
      row('POST', 'policy/$explain', explainOwnPolicy(), { letter: 'r' }),
      row('GET', 'holds', listLegalHolds(), { letter: 'r' }),
      row('POST', 'holds', placeLegalHold(), { letter: 'u' }),
      row('GET', 'holds/[id]', readLegalHold(), { letter: 'r' }),
      row('POST', 'holds/[id]/$lift', liftLegalHold(), { letter: 'u' }),
      row('GET', 'retention', listRetention(), { letter: 'r' }),
      row('GET', 'purges', listAllPurges(), { letter: 'r' }),
      row('POST', 'purges', requestPurge(), { letter: 'u' }),
      row('GET', 'purges/[id]', readOnePurge(), { letter: 'r' }),
      row('POST', 'purges/[id]/$approve', approvePurge(parts), { letter: 'u' }),
      row('POST', 'purges/[id]/$withdraw', withdrawPurge(), { letter: 'u' }),
    ],
  };
}
