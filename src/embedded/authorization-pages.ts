// The pages of the development authorization server: plain HTML that works by keyboard, without scripts, and with
// nothing from outside.
import { createHash } from 'node:crypto';
import type { ScopeWords } from './authorization-scopes.ts';
import { DEMO_ORGANISATIONS, DEMO_PASSWORD, DEMO_PEOPLE, type DemoPatient, type Person } from './demo-people.ts';

const STYLE = `
:root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }
body { margin: 0; background: light-dark(#f3f5f8, #14181d); color: light-dark(#17212b, #e8edf2); }
main { max-width: 38rem; margin: 2rem auto; padding: 1.5rem 2rem; background: light-dark(#fff, #1d232a); border-radius: .75rem; box-shadow: 0 1px 6px rgb(0 0 0 / .18); }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
h2 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
label { display: block; margin: .75rem 0; font-weight: 600; }
input[type=text], input[type=password] { display: block; box-sizing: border-box; width: 100%; margin-top: .25rem; padding: .5rem; font: inherit; border: 1px solid #6b7785; border-radius: .4rem; background: transparent; color: inherit; }
button { font: inherit; padding: .5rem 1.1rem; border: 1px solid #0b5cad; border-radius: .4rem; background: #0b5cad; color: #fff; cursor: pointer; }
button.second { background: transparent; color: inherit; border-color: #6b7785; }
button + button.second { margin-left: .6rem; }
button.wide { display: block; width: 100%; text-align: left; margin: .4rem 0; background: transparent; color: inherit; }
:focus-visible { outline: 3px solid #e08a00; outline-offset: 2px; }
a { color: light-dark(#0b5cad, #7db8f5); }
ul.rights { list-style: none; padding: 0; }
ul.rights li { display: flex; justify-content: space-between; gap: 1rem; padding: .45rem 0; border-bottom: 1px solid #6b778555; }
ul.rights code { display: block; font-size: .8rem; opacity: .75; overflow-wrap: anywhere; }
ul.rights label { margin: 0; font-weight: 400; white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .15rem .6rem .15rem 0; }
[role=alert] { padding: .5rem .75rem; border-left: 4px solid #b3261e; background: #b3261e22; }
.note { font-size: .9rem; opacity: .85; }
`;
const STYLE_DIGEST = createHash('sha256').update(STYLE).digest('base64');

export interface Page {
  title: string;
  body: string;
}

/** `formTargets`: where a submitted form may lead besides here; browsers hold a redirect against it too. */
export function pageHeaders(formTargets: readonly string[] = []): Record<string, string> {
  return {
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
    'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_DIGEST}'; form-action 'self' ${formTargets.join(' ')}; base-uri 'none'; frame-ancestors 'none'`,
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
  };
}

/**
 * Of the page by which a code goes to the app as a form (OAuth 2.0 Form Post Response Mode): its one script may run, and its form leads
 * to `target`. undefined for a page that has no script.
 */
export function formPostHeaders(page: string, target: string): Record<string, string> | undefined {
  const script = /<script>([^]*?)<\/script>/.exec(page)?.[1];
  if (script === undefined) return undefined;
  const digest = createHash('sha256').update(script).digest('base64');
  return { ...pageHeaders(), 'Content-Security-Policy': `default-src 'none'; script-src 'sha256-${digest}'; form-action ${formTarget(target)}; base-uri 'none'; frame-ancestors 'none'` };
}

/** Where a form may lead, as a policy names it: a scheme of an app's own has no origin. */
export function formTarget(target: string): string {
  if (!URL.canParse(target)) return "'none'";
  const { protocol, origin } = new URL(target);
  return origin === 'null' ? protocol : origin;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] as string);
}

export function printPage({ title, body }: Page): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} – Muniment development</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

const alert = (problem: string | undefined): string => (problem === undefined ? '' : `<p role="alert">${escape(problem)}</p>`);

function peopleOf(org: string): string {
  const rows = DEMO_PEOPLE.filter((person) => person.org === org).map(({ username, name, roles, fhirUser }) =>
    `<tr><td><code>${escape(username)}</code></td><td>${escape(name)}</td><td>${escape(roles.join(', ') || 'patient')}</td><td>${escape(fhirUser)}</td></tr>`);
  return `<table><thead><tr><th scope="col">User name</th><th scope="col">Name</th><th scope="col">Role</th><th scope="col">Resource</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

export interface LoginView {
  client: string;
  /** Of the organisation alone, where a launch belongs to one. */
  org?: string | undefined;
  username?: string | undefined;
  problem?: string | undefined;
}

export function loginPage({ client, org, username = '', problem }: LoginView): Page {
  const shown = DEMO_ORGANISATIONS.filter((one) => org === undefined || one.org === org);
  return {
    title: 'Sign in',
    body: `<p><strong>${escape(client)}</strong> asks you to sign in.</p>
${alert(problem)}
<form method="post">
<input type="hidden" name="step" value="login">
<label>User name <input type="text" name="username" value="${escape(username)}" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus></label>
<label>Password <input type="password" name="password" autocomplete="current-password" required></label>
<button type="submit">Sign in</button>
</form>
<p class="note">This server is for development. The password of everybody is <code>${DEMO_PASSWORD}</code>:</p>
${shown.map((one) => `<h2>${escape(one.name)} <span class="note">(organisation <code>${escape(one.org)}</code>)</span></h2>${peopleOf(one.org)}`).join('')}`,
  };
}

export interface PatientView {
  client: string;
  person: Person;
  patients: readonly DemoPatient[];
  /** Whether an id may be typed, and whether an encounter is asked for. */
  typed: boolean;
  encounter: boolean;
  problem?: string | undefined;
}

export function patientPage({ client, person, patients, typed, encounter, problem }: PatientView): Page {
  const buttons = patients.map(({ id, name, birthDate }) => `<button class="wide" type="submit" name="patient" value="${escape(id)}">${escape(name)}, born ${birthDate} <span class="note">(${escape(id)})</span></button>`);
  const field = `<h2>or another patient</h2>
<label>Id of the patient <input type="text" name="patient_id" autocomplete="off" autocapitalize="none" spellcheck="false" pattern="[A-Za-z0-9\\-.]{1,64}"></label>`;
  const encounterField = `<label>Id of the encounter (that of the chosen patient when left empty) <input type="text" name="encounter_id" autocomplete="off" autocapitalize="none" spellcheck="false" pattern="[A-Za-z0-9\\-.]{1,64}"></label>`;
  return {
    title: 'Choose a patient',
    body: `<p><strong>${escape(client)}</strong> works with one patient at a time. You are signed in as ${escape(person.name)}.</p>
${alert(problem)}
<form method="post">
<input type="hidden" name="step" value="patient">
${buttons.join('\n')}
${typed ? field : ''}
${encounter ? encounterField : ''}
${typed || encounter ? '<button type="submit">Use what is typed</button>' : ''}
</form>`,
  };
}

export interface ConsentView {
  client: string;
  person: Person;
  organisation: string;
  rights: readonly ScopeWords[];
  patient?: string | undefined;
  encounter?: string | undefined;
  target: string;
}

export function consentPage({ client, person, organisation, rights, patient, encounter, target }: ConsentView): Page {
  const items = rights.map(({ scope, words }) => `<li><span>${escape(words)}<code>${escape(scope)}</code></span><label><input type="checkbox" name="leave_out" value="${escape(scope)}"> leave out</label></li>`);
  const about = patient === undefined ? '' : `<p>It is about the patient <strong>${escape(patient)}</strong>${encounter === undefined ? '' : `, encounter <strong>${escape(encounter)}</strong>`}.</p>`;
  return {
    title: `Allow ${client}?`,
    body: `<p>You are signed in as <strong>${escape(person.name)}</strong> (${escape(person.roles.join(', ') || 'patient')}) of ${escape(organisation)}.</p>
${about}
<p><strong>${escape(client)}</strong> would be allowed to:</p>
<form method="post">
<input type="hidden" name="step" value="consent">
<ul class="rights">
${items.join('\n')}
</ul>
<p class="note">You return to ${escape(target)}. What your role may not do, the app may not do either.</p>
<p><button type="submit" name="decision" value="allow" autofocus>Allow</button> <button class="second" type="submit" name="decision" value="deny">Refuse</button></p>
</form>
<p><a href="?as=another">Sign in as somebody else</a></p>`,
  };
}

export function problemPage(title: string, text: string): Page {
  return { title, body: `<p role="alert">${escape(text)}</p>` };
}
