// Login, choice of the patient, and consent: what happens between the request of an app and its code.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Interaction, Provider } from 'oidc-provider';
import { consentPage, formTarget, loginPage, pageHeaders, patientPage, printPage, problemPage, type Page } from './authorization-pages.ts';
import { GRANT_SECONDS, type GrantContext } from './authorization-provider.ts';
import { describeScopes, needsPatient, userScopes, type ScopeRule } from './authorization-scopes.ts';
import type { AuthorizationStore } from './authorization-store.ts';
import { accountOfLaunch, DEMO_ORGANISATIONS, DEMO_PASSWORD, DEMO_PEOPLE, patientsFor, personOf, type Person } from './demo-people.ts';
import { findLaunch, type LaunchContext } from './launch-context.ts';

export interface InteractionParts {
  fhirBase: string;
  store: AuthorizationStore;
  grantsResources: ScopeRule['grantsResources'];
}

const ID = /^[A-Za-z0-9\-.]{1,64}$/;
const CHOICE_SECONDS = 3_600;

interface Scene {
  provider: Provider;
  request: IncomingMessage;
  response: ServerResponse;
  interaction: Interaction;
  /** Name of the app, and where it gets its answer. */
  client: string;
  target: string;
  launch: LaunchContext | undefined;
  scopes: string[];
}

/** Answers GET (a page) and POST (`fields` of its form). */
export async function answerInteraction(parts: InteractionParts, provider: Provider, request: IncomingMessage, response: ServerResponse, fields: URLSearchParams | undefined): Promise<void> {
  const scene = await openScene(parts, provider, request, response);
  if (scene === undefined) {
    show(response, [], 400, problemPage('This page has ended', 'Go back to the app and begin again.'));
    return;
  }
  const { accountId } = scene.interaction.session ?? {};
  const another = new URL(request.url ?? '/', 'http://localhost').searchParams.get('as') === 'another';
  const person = accountId === undefined ? undefined : personOf(accountId);
  const step = fields?.get('step');
  if (fields !== undefined && step === 'login') await logIn(scene, fields);
  else if (scene.interaction.prompt.name === 'login' || another || person === undefined) await askForLogin(scene, another);
  else if (fields !== undefined && step === 'patient') await choosePatient(parts, scene, person, fields);
  else await decide(parts, scene, person, step === 'consent' ? fields : undefined);
}

async function openScene({ store, grantsResources }: InteractionParts, provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<Scene | undefined> {
  const interaction = await provider.interactionDetails(request, response).catch(() => undefined);
  if (interaction === undefined) return undefined;
  const { client_id: clientId, redirect_uri: target, scope, launch } = interaction.params as Record<string, string | undefined>;
  const client = await provider.Client.find(clientId ?? '');
  if (client === undefined) return undefined;
  const registered = client['smart_scope'];
  return {
    provider, request, response, interaction,
    client: client.clientName ?? client.clientId,
    target: target ?? client.redirectUris?.[0] ?? '',
    launch: await findLaunch(store, launch),
    scopes: userScopes(scope, { grantsResources, registered: typeof registered === 'string' ? registered : undefined }),
  };
}

function show(response: ServerResponse, targets: readonly string[], status: number, page: Page): void {
  response.writeHead(status, pageHeaders(targets));
  response.end(printPage(page));
}

/** A form of ours ends in a redirect to the app. */
const turnTo = (scene: Scene, status: number, page: Page): void => show(scene.response, URL.canParse(scene.target) ? [formTarget(scene.target)] : [], status, page);

async function askForLogin(scene: Scene, another: boolean): Promise<void> {
  const { launch, client, interaction } = scene;
  // Whoever works at the EHR has signed in there.
  if (launch?.user !== undefined && !another) {
    await finishLogin(scene, accountOfLaunch(launch.org, launch.user));
    return;
  }
  const hint = interaction.params['login_hint'];
  turnTo(scene, 200, loginPage({ client, org: launch?.org, username: typeof hint === 'string' ? hint : undefined }));
}

async function logIn(scene: Scene, fields: URLSearchParams): Promise<void> {
  const { client, launch } = scene;
  const username = fields.get('username')?.trim() ?? '';
  const person = DEMO_PEOPLE.find((one) => one.username === username);
  const again = (problem: string): void => turnTo(scene, 401, loginPage({ client, org: launch?.org, username, problem }));
  if (person === undefined || fields.get('password') !== DEMO_PASSWORD) { again('User name or password is wrong.'); return; }
  if (launch !== undefined && launch.org !== person.org) { again('This person belongs to another organisation than the record that was open.'); return; }
  if (launch?.user !== undefined && accountOfLaunch(launch.org, launch.user) !== person.username) { again(`The record was open for ${launch.user}.`); return; }
  await finishLogin(scene, person.username);
}

/** Somebody else's session ends first. */
async function finishLogin({ provider, request, response, interaction }: Scene, accountId: string): Promise<void> {
  const { session } = interaction;
  if (session?.uid !== undefined && session.accountId !== accountId) {
    const stored = await provider.Session.findByUid(session.uid);
    await stored?.destroy();
    delete interaction.session;
    await interaction.persist();
  }
  await provider.interactionFinished(request, response, { login: { accountId } }, { mergeWithLastSubmission: false });
}

async function choosePatient({ store }: InteractionParts, scene: Scene, person: Person, fields: URLSearchParams): Promise<void> {
  const typed = fields.get('patient_id')?.trim() ?? '';
  const patient = typed === '' ? fields.get('patient') ?? '' : typed;
  const known = patientsFor(person);
  const own = person.fhirUser.startsWith('Patient/') && person.fhirUser !== `Patient/${patient}`;
  const askedEncounter = fields.get('encounter_id')?.trim() ?? '';
  const encounter = askedEncounter === '' ? known.find(({ id }) => id === patient)?.encounter : askedEncounter;
  if (!ID.test(patient) || own || (encounter !== undefined && !ID.test(encounter))) {
    askForPatient(scene, person, 422, own ? 'You can choose nobody but yourself.' : 'An id has 1 to 64 characters of A-Z a-z 0-9 - and .');
    return;
  }
  await store.put('Choice', scene.interaction.uid, { patient, ...(encounter === undefined ? {} : { encounter }) }, CHOICE_SECONDS);
  scene.response.writeHead(303, { ...pageHeaders(), Location: scene.interaction.uid });
  scene.response.end();
}

function askForPatient(scene: Scene, person: Person, status: number, problem?: string): void {
  turnTo(scene, status, patientPage({
    client: scene.client, person, patients: patientsFor(person), typed: !person.fhirUser.startsWith('Patient/'), encounter: scene.scopes.includes('launch/encounter'), problem,
  }));
}

/** Shows what is asked for; `fields` hold the person's decision. */
async function decide(parts: InteractionParts, scene: Scene, person: Person, fields: URLSearchParams | undefined): Promise<void> {
  const { launch, scopes, client, target } = scene;
  const context = launch ?? await parts.store.get<GrantContext>('Choice', scene.interaction.uid) ?? {};
  if (context.patient === undefined && needsPatient(scopes)) {
    askForPatient(scene, person, 200);
  } else if (fields === undefined) {
    const about = patientsFor(person).find(({ id }) => id === context.patient);
    const patient = context.patient === undefined ? undefined : about === undefined ? context.patient : `${about.name} (${about.id})`;
    turnTo(scene, 200, consentPage({
      client, person, target, patient, encounter: context.encounter,
      organisation: DEMO_ORGANISATIONS.find(({ org }) => org === person.org)?.name ?? person.org,
      rights: describeScopes(scopes, about?.name ?? `patient ${context.patient ?? ''}`),
    }));
  } else if (fields.get('decision') === 'allow') {
    await allow(parts, scene, context, new Set(fields.getAll('leave_out')));
  } else {
    await refuse(scene);
  }
}

async function refuse({ provider, request, response }: Scene): Promise<void> {
  await provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'The person refused' }, { mergeWithLastSubmission: false });
}

async function allow({ fhirBase, store }: InteractionParts, scene: Scene, context: GrantContext, leftOut: ReadonlySet<string>): Promise<void> {
  const { provider, request, response, interaction, scopes } = scene;
  const asked = ((interaction.params['scope'] as string | undefined) ?? '').split(' ').filter((scope) => scope !== '');
  const given = scopes.filter((scope) => !leftOut.has(scope));
  if (given.length === 0) { await refuse(scene); return; }
  const grant = new provider.Grant({ accountId: interaction.session?.accountId as string, clientId: interaction.params['client_id'] as string });
  const rejected = asked.filter((scope) => !given.includes(scope));
  grant.addOIDCScope(given.join(' '));
  grant.addResourceScope(fhirBase, given.join(' '));
  if (rejected.length > 0) {
    grant.rejectOIDCScope(rejected.join(' '));
    grant.rejectResourceScope(fhirBase, rejected.join(' '));
  }
  const grantId = await grant.save();
  await store.put('GrantContext', grantId, contextFor(given, context), GRANT_SECONDS);
  await store.remove('Choice', interaction.uid);
  await provider.interactionFinished(request, response, { consent: { grantId } });
}

/** An app learns of the context what it may know. */
function contextFor(given: readonly string[], { patient, encounter }: GrantContext): GrantContext {
  const launched = given.includes('launch');
  return {
    ...(patient !== undefined && (launched || needsPatient(given)) ? { patient } : {}),
    ...(encounter !== undefined && (launched || given.includes('launch/encounter')) ? { encounter } : {}),
  };
}
