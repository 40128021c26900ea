// $validate (R4 resource-operation-validate.html): everything that is wrong with a resource, as a write would find it. Nothing is
// stored; what was found is the answer, and an error only where the request itself cannot be read.
import { authorize, type AuthorizationRequest } from '../access/authorize.ts';
import { fhirError, issueOf, type Issue } from '../fhir/fhir-error.ts';
import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { informationElement, issueElement, printIssues } from '../fhir/operation-outcome.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { AccessEntity } from '../audit/access-event.ts';
import { defineInteraction, type Interaction, type InteractionContext } from '../interactions/interaction.ts';
import { readFhirBody } from '../interactions/read-body.ts';
import { FHIR_JSON_TYPE } from '../interactions/representation.ts';
import { patientEntity } from '../interactions/write-outcome.ts';
import type { NewestLoader } from '../resources/load-newest.ts';
import { requirePermitted } from '../resources/permitted-version.ts';
import { checkResource } from '../validation/check-resource.ts';

export interface ValidateParts {
  fhirBase: string;
  newest: NewestLoader;
  bodyBytesMax: number;
}

const MODES = ['create', 'update', 'delete', 'profile'] as const;
const PROFILES_MAX = 10;

interface Asked {
  resource: JsonObject | undefined;
  mode: (typeof MODES)[number] | undefined;
  profiles: string[];
}

interface Validated {
  issues: Issue[];
  entities: AccessEntity[];
}

export function validate(parts: ValidateParts): Interaction {
  return defineInteraction<Validated>({
    code: 'operation',
    kind: 'read',
    async prepare(context) {
      requireRight(context);
      const asked = await readAsked(context, parts.bodyBytesMax);
      const stored = context.request.id === '' || asked.resource !== undefined ? undefined : await loadStored(parts, context);
      const resource = asked.resource ?? stored?.resource;
      if (resource === undefined && asked.mode !== 'delete') throw fhirError('structure', 'There is no resource to validate: send it as the body, or as the parameter resource');
      const issues = resource === undefined ? [] : await checkResource(resource, context.request.type, asked.profiles);
      return { issues: [...modeIssues(context, asked), ...issues], entities: stored?.entities ?? [] };
    },
    run: async (_tx, _context, { issues, entities }) => ({ response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: print(issues) }, entities }),
  });
}

/** A resource that is sent tells nothing of what is stored: any right to the type suffices. What is stored needs the right to read it. */
function requireRight({ principal, request }: InteractionContext): void {
  const rights: AuthorizationRequest['interaction'][] = request.id === '' ? ['create', 'update', 'read', 'search-type'] : ['read'];
  const decisions = rights.map((interaction) => authorize(principal, { interaction, type: request.type }));
  const refused = decisions.find((decision) => !decision.permit);
  if (decisions.some(({ permit }) => permit) || refused === undefined || refused.permit) return;
  throw fhirError('forbidden', refused.reason, refused.code === 'insufficient_scope' ? { headers: { 'WWW-Authenticate': 'Bearer realm="Muniment", error="insufficient_scope"' } } : {});
}

/** What the body and the query ask for; the query adds to the body. */
async function readAsked({ request }: InteractionContext, bodyBytesMax: number): Promise<Asked> {
  const { json, contentType, length } = request.body;
  const isSent = request.method === 'POST' && (json !== undefined || (length ?? 0) > 0 || (contentType !== undefined && length !== 0));
  const body = isSent ? await readFhirBody(request, bodyBytesMax) : undefined;
  const parameters = body?.['resourceType'] === 'Parameters' ? partsOf(body['parameter']) : [];
  const named = (name: string): JsonObject[] => parameters.filter((parameter) => parameter['name'] === name);
  const resource = body?.['resourceType'] === 'Parameters' ? named('resource')[0]?.['resource'] : body;
  if (resource !== undefined && !isJsonObject(resource)) throw fhirError('structure', 'The parameter resource must hold a resource', { expression: 'Parameters.parameter' });
  const inQuery = (name: string): string[] => request.query.filter(([key]) => key === name).map(([, value]) => value);
  const modes = [...valuesOf(named('mode')), ...inQuery('mode')];
  const mode = MODES.find((known) => known === modes[0]);
  if (modes.length > 0 && mode === undefined) throw fhirError('invalid-parameter', `mode is one of ${MODES.join(', ')}`);
  return { resource, mode, profiles: [...valuesOf(named('profile')), ...inQuery('profile')].slice(0, PROFILES_MAX) };
}

function partsOf(parameter: JsonValue | undefined): JsonObject[] {
  return Array.isArray(parameter) ? parameter.filter(isJsonObject) : [];
}

/** Whatever primitive type the client chose for it. */
function valuesOf(parameters: readonly JsonObject[]): string[] {
  return parameters.flatMap((parameter) => Object.entries(parameter).filter(([name]) => name.startsWith('value')).map(([, value]) => value)).filter((value) => typeof value === 'string');
}

async function loadStored(parts: ValidateParts, context: InteractionContext): Promise<{ resource: JsonObject; entities: AccessEntity[] }> {
  const { request, org, principal } = context;
  const reference = `${request.type}/${request.id}`;
  const row = await parts.newest.load(org.id, typeNumber(request.type), request.id);
  if (row === undefined) throw fhirError('not-found', `${reference} is not known here`);
  const decision = authorize(principal, { interaction: 'read', type: request.type });
  await context.read((tx) => requirePermitted(tx, decision.permit ? decision.restriction : { kind: 'nothing' }, row, parts.fhirBase));
  if (row.body === null) throw fhirError('deleted', `${reference} was deleted`);
  return {
    resource: parseJson(row.body, { depthMax: Infinity, keysMax: Infinity }) as JsonObject,
    entities: [...patientEntity(row.patient), { reference: `${reference}/_history/${row.version}`, role: 'data' }],
  };
}

/** What the intended use adds: an update is of the id that the URL names. */
function modeIssues({ request }: InteractionContext, { resource, mode }: Asked): Issue[] {
  if (request.id === '' || resource === undefined || (mode !== undefined && mode !== 'update')) return [];
  const { id } = resource;
  if (id === request.id) return [];
  return [issueOf('id-mismatch', `The URL names the id ${request.id}; the resource ${typeof id === 'string' ? `has the id ${id.slice(0, 64)}` : 'has none'}`, `${request.type}.id`)];
}

/** Errors, warnings, and that there is no error where there is none. */
function print(issues: readonly Issue[]): string {
  const warnings = issues.filter(({ severity }) => severity === 'warning').length;
  const well = warnings === issues.length ? [informationElement(warnings === 0 ? 'Nothing is wrong with this resource' : 'No error was found')] : [];
  return printIssues([...issues.map(issueElement), ...well]);
}
