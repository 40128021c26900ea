// Organisations, for administrators of the operator: listed, opened, configured, disabled and enabled. Nothing is deleted.
import { ORG_NAME } from '../access/claims.ts';
import { matchesVersion, versionTag } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import type { JsonObject, JsonValue } from '../fhir/json.ts';
import { defineInteraction, type FhirRequest, type Interaction, type Outcome } from '../interactions/interaction.ts';
import type { Organisations } from '../resources/organisation.ts';
import { configureOrganisation, listOrganisations, openOrganisation, readOrganisationSettings, type OrganisationSettings } from '../resources/organisation-settings.ts';
import { jsonAnswer, pageCount, readAdminBody, readBoolean, readText } from './admin-body.ts';
import { LIMIT_MEMBERS, patchedLimits, sameLimits } from './admin-limits.ts';

const TITLE_CHARACTERS_MAX = 200;

const referenceOf = ({ name, revision }: Pick<OrganisationSettings, 'name' | 'revision'>): string => `urn:muniment:organisation:${name}/_history/${revision}`;
const touched = (...settings: OrganisationSettings[]): Outcome['entities'] => settings.map((one) => ({ reference: referenceOf(one), role: 'data' as const }));

function shown({ name, title, created, disabled, requireIfMatch, directUrls, limits, revision }: OrganisationSettings): Record<string, unknown> {
  return {
    name, ...(title === undefined ? {} : { title }), created: printInstant(created.getTime()), disabled: disabled !== undefined, ...(disabled === undefined ? {} : { disabledSince: printInstant(disabled.getTime()) }),
    requireIfMatch, directUrls, ...limits, revision,
  };
}

const answer = (status: number, settings: OrganisationSettings, headers: Record<string, string> = {}): Outcome => ({
  response: jsonAnswer(status, shown(settings), { ETag: versionTag(settings.revision), ...headers }), entities: touched(settings),
});

/** Members that differ, for the record. What nobody sets is no change. */
function changeOf(next: OrganisationSettings, before?: OrganisationSettings): NonNullable<Outcome['change']> {
  const [was, is] = [before === undefined ? {} : shown(before), shown(next)];
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter((name) => name !== 'created' && name !== 'revision' && JSON.stringify(was[name]) !== JSON.stringify(is[name])).sort();
  const of = (settings: Record<string, unknown>): string => JSON.stringify(Object.fromEntries(names.map((name) => [name, settings[name] ?? null])));
  return { reference: referenceOf(next), ...(before === undefined ? {} : { before: of(was) }), after: of(is) };
}

export function listAllOrganisations(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { request }) => {
      const count = pageCount(request);
      const after = request.query.find(([name]) => name === 'after')?.[1] ?? '';
      const found = await listOrganisations(tx, after, count + 1);
      const page = found.slice(0, count);
      const next = found.length > count ? { next: `/admin/organisations?after=${encodeURIComponent(page.at(-1)?.name ?? '')}&_count=${count}` } : {};
      return { response: jsonAnswer(200, { organisations: page.map(shown), ...next }), entities: touched(...page) };
    },
  });
}

const nameOf = (request: FhirRequest): string => request.parameters?.['name'] ?? '';
const unknown = (): Error => fhirError('not-found', 'There is no such organisation');

export function readOneOrganisation(): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    run: async (tx, { request }) => {
      const settings = await readOrganisationSettings(tx, nameOf(request));
      if (settings === undefined) throw unknown();
      return answer(200, settings);
    },
  });
}

const titleOf = (value: JsonValue | undefined): string | undefined => (value === undefined || value === null ? undefined : readText(value, 'title', TITLE_CHARACTERS_MAX));

export function openNewOrganisation(organisations: Organisations): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: async ({ request }) => {
      const body = await readAdminBody(request, ['name', 'title', 'requireIfMatch', 'directUrls', ...LIMIT_MEMBERS]);
      const name = readText(body['name'], 'name', 64);
      if (!ORG_NAME.test(name)) throw fhirError('invalid-value', 'A name has 1 to 64 letters, digits, dots, underscores and hyphens and begins with a letter or digit', { expression: 'name' });
      return { name, title: titleOf(body['title']), requireIfMatch: readBoolean(body['requireIfMatch'] ?? false, 'requireIfMatch'), directUrls: readBoolean(body['directUrls'] ?? false, 'directUrls'), limits: patchedLimits({ allowedTypes: 'clinical' }, body) };
    },
    run: async (tx, _context, { name, ...settings }) => {
      const opened = await openOrganisation(tx, name, settings);
      if (opened === undefined) throw fhirError('conflict', `The organisation ${name} is open already`, { expression: 'name' });
      return { ...answer(201, opened, { Location: `/admin/organisations/${name}` }), change: changeOf(opened), afterCommit: () => organisations.forget(name) };
    },
  });
}

/** What a merge patch (RFC 7396) makes of the settings. */
function patched(settings: OrganisationSettings, body: JsonObject, now: number): OrganisationSettings {
  const next = { ...settings, limits: patchedLimits(settings.limits, body) };
  if ('title' in body) next.title = titleOf(body['title']);
  if (body['requireIfMatch'] !== undefined) next.requireIfMatch = readBoolean(body['requireIfMatch'], 'requireIfMatch');
  if (body['directUrls'] !== undefined) next.directUrls = readBoolean(body['directUrls'], 'directUrls');
  if (body['disabled'] !== undefined) next.disabled = readBoolean(body['disabled'], 'disabled') ? settings.disabled ?? new Date(now) : undefined;
  return next;
}

const sameSettings = (one: OrganisationSettings, other: OrganisationSettings): boolean =>
  one.title === other.title && one.requireIfMatch === other.requireIfMatch && one.directUrls === other.directUrls && one.disabled?.getTime() === other.disabled?.getTime() && sameLimits(one.limits, other.limits);

export function configureOneOrganisation(organisations: Organisations, operatorOrg: string): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    prepare: ({ request }) => readAdminBody(request, ['title', 'requireIfMatch', 'directUrls', 'disabled', ...LIMIT_MEMBERS]),
    run: async (tx, { request, principal, now }, body) => {
      const settings = await readOrganisationSettings(tx, nameOf(request), true);
      if (settings === undefined) throw unknown();
      const ifMatch = request.header('if-match');
      if (ifMatch !== undefined && !matchesVersion(ifMatch, settings.revision)) throw fhirError('version-mismatch', `${settings.name} is at revision ${settings.revision}`, { headers: { ETag: versionTag(settings.revision) } });
      const next = patched(settings, body, now);
      // Nobody could enable it again.
      if (next.disabled !== undefined && settings.name === operatorOrg) throw fhirError('business-rule', 'The organisation of the operator cannot be disabled', { expression: 'disabled' });
      const { issuers } = next.limits;
      if (settings.name === operatorOrg && issuers?.includes(principal.issuer) === false) throw fhirError('business-rule', 'The organisation of the operator keeps the issuer of this token', { expression: 'issuers' });
      if (sameSettings(settings, next)) return answer(200, settings);
      const configured = await configureOrganisation(tx, next);
      return { ...answer(200, configured), change: changeOf(configured, settings), afterCommit: () => organisations.forget(settings.name) };
    },
  });
}
