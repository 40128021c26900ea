// /admin: what administrators configure. Organisations are the operator's matter, a policy that of its own organisation.
import type { Organisations } from '../resources/organisation.ts';
import type { AdapterGroup, AdapterRoute } from './adapter-route.ts';
import { listBrokenGlass, readBrokenGlass, reviewBrokenGlass } from './admin-break-glass.ts';
import { giveUpDelivery, listDeliveries, replayDelivery, showDelivery } from './admin-deliveries.ts';
import { listFileEvents } from './admin-file-events.ts';
import { linkFile, listFiles, readOneFile, type AdminFileParts } from './admin-files.ts';
import { listJobs, readQuota, type JobParts } from './admin-jobs.ts';
import { liftLegalHold, listLegalHolds, placeLegalHold, readLegalHold } from './admin-holds.ts';
import { approvePurge, listAllPurges, listRetention, readOnePurge, requestPurge, withdrawPurge, type PurgeAdminParts } from './admin-purges.ts';
import { configureOneOrganisation, listAllOrganisations, openNewOrganisation, readOneOrganisation } from './admin-organisations.ts';
import { explainOwnPolicy, listOwnPolicies, readOwnPolicy, readOwnPolicyVersion, replaceOwnPolicy } from './admin-policy.ts';
import { ADMIN_ROWS } from './describe-admin.ts';
import { DELIVERY_ROWS } from './describe-deliveries.ts';
import { RETENTION_ROWS } from './describe-retention.ts';
import type { RowDescription } from './row-description.ts';

export interface AdminParts extends PurgeAdminParts, AdminFileParts, JobParts {
  organisations: Organisations;
  /** Whose administrators open and configure organisations. */
  operatorOrg: string;
}

/** Pages of other origins may not call: no answer here has CORS headers. */
export function adminRoutes({ organisations, operatorOrg, ...parts }: AdminParts): AdapterGroup {
  const row = (method: AdapterRoute['method'], path: string, interaction: AdapterRoute['interaction'], administration: NonNullable<AdapterRoute['access']['administration']>, says: RowDescription): AdapterRoute =>
    ({ method, path, interaction, type: 'Organization', access: { interaction: 'operation', administration }, says });
  const operator = (letter: 'r' | 'u'): { letter: 'r' | 'u'; org: string } => ({ letter, org: operatorOrg });
  return {
    prefix: 'admin',
    crossOrigin: false,
    headers: { 'Cache-Control': 'no-store' },
    routes: [
      row('GET', 'organisations', listAllOrganisations(), operator('r'), ADMIN_ROWS.listOrganisations),
      row('POST', 'organisations', openNewOrganisation(organisations), operator('u'), ADMIN_ROWS.openOrganisation),
      row('GET', 'organisations/[name]', readOneOrganisation(), operator('r'), ADMIN_ROWS.readOrganisation),
      row('PATCH', 'organisations/[name]', configureOneOrganisation(organisations, operatorOrg), operator('u'), ADMIN_ROWS.configureOrganisation),
      row('GET', 'policy', readOwnPolicy(), { letter: 'r' }, ADMIN_ROWS.readPolicy),
      row('PUT', 'policy', replaceOwnPolicy(organisations), { letter: 'u' }, ADMIN_ROWS.replacePolicy),
      row('GET', 'policy/versions', listOwnPolicies(), { letter: 'r' }, ADMIN_ROWS.listPolicies),
      row('GET', 'policy/versions/[version]', readOwnPolicyVersion(), { letter: 'r' }, ADMIN_ROWS.readPolicyVersion),
      row('GET', 'break-glass', listBrokenGlass(), { letter: 'r' }, ADMIN_ROWS.listEmergencies),
      row('GET', 'break-glass/[id]', readBrokenGlass(), { letter: 'r' }, ADMIN_ROWS.readEmergency),
      row('POST', 'break-glass/[id]/$review', reviewBrokenGlass(), { letter: 'u' }, ADMIN_ROWS.reviewEmergency),
      row('POST', 'policy/$explain', explainOwnPolicy(), { letter: 'r' }, ADMIN_ROWS.explainPolicy),
      row('GET', 'deliveries', listDeliveries(), { letter: 'r' }, DELIVERY_ROWS.list),
      row('POST', 'deliveries/$replay', replayDelivery(), { letter: 'u' }, DELIVERY_ROWS.replayAll),
      row('GET', 'deliveries/[type]/[id]', showDelivery(), { letter: 'r' }, DELIVERY_ROWS.show),
      row('POST', 'deliveries/[type]/[id]/$replay', replayDelivery(), { letter: 'u' }, DELIVERY_ROWS.replay),
      row('POST', 'deliveries/[type]/[id]/$skip', giveUpDelivery(), { letter: 'u' }, DELIVERY_ROWS.skip),
      row('GET', 'files', listFiles(), { letter: 'r' }, ADMIN_ROWS.listFiles),
      row('GET', 'files/[fileId]', readOneFile(), { letter: 'r' }, ADMIN_ROWS.readFile),
      row('POST', 'files/[fileId]/$link', linkFile(parts), { letter: 'u' }, ADMIN_ROWS.linkFile),
      row('GET', 'file-events', listFileEvents(), { letter: 'r' }, ADMIN_ROWS.listFileEvents),
      row('GET', 'jobs', listJobs(parts), operator('r'), ADMIN_ROWS.listJobs),
      row('GET', 'quota', readQuota(parts), { letter: 'r' }, ADMIN_ROWS.readQuota),
      row('GET', 'holds', listLegalHolds(), { letter: 'r' }, RETENTION_ROWS.listHolds),
      row('POST', 'holds', placeLegalHold(), { letter: 'u' }, RETENTION_ROWS.placeHold),
      row('GET', 'holds/[id]', readLegalHold(), { letter: 'r' }, RETENTION_ROWS.readHold),
      row('POST', 'holds/[id]/$lift', liftLegalHold(), { letter: 'u' }, RETENTION_ROWS.liftHold),
      row('GET', 'retention', listRetention(), { letter: 'r' }, RETENTION_ROWS.listDue),
      row('GET', 'purges', listAllPurges(), { letter: 'r' }, RETENTION_ROWS.listPurges),
      row('POST', 'purges', requestPurge(), { letter: 'u' }, RETENTION_ROWS.requestPurge),
      row('GET', 'purges/[id]', readOnePurge(), { letter: 'r' }, RETENTION_ROWS.readPurge),
      row('POST', 'purges/[id]/$approve', approvePurge(parts), { letter: 'u' }, RETENTION_ROWS.approvePurge),
      row('POST', 'purges/[id]/$withdraw', withdrawPurge(), { letter: 'u' }, RETENTION_ROWS.withdrawPurge),
    ],
  };
}
