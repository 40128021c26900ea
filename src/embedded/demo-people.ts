// Who can log in at the development authorization server, and the patients that its picker shows: two organisations,
// each with a person in every shipped role. Fixtures of development; all passwords are `demo`.

export interface Person {
  /** Login name, and the `sub` of tokens. */
  username: string;
  name: string;
  org: string;
  /** Practitioner/demo */
  fhirUser: string;
  roles: readonly string[];
}

export interface DemoPatient {
  id: string;
  name: string;
  birthDate: string;
  encounter: string;
}

export interface DemoOrganisation {
  org: string;
  name: string;
  patients: readonly DemoPatient[];
}

export const DEMO_PASSWORD = 'demo';

export const DEMO_ORGANISATIONS: readonly DemoOrganisation[] = [
  {
    org: 'demo', name: 'Demo Hospital',
    patients: [
      { id: 'demo-anna', name: 'Anna Berg', birthDate: '1962-03-14', encounter: 'demo-anna-visit' },
      { id: 'demo-omar', name: 'Omar Haddad', birthDate: '1987-11-02', encounter: 'demo-omar-visit' },
      { id: 'demo-lin', name: 'Lin Zhao', birthDate: '2015-06-30', encounter: 'demo-lin-visit' },
    ],
  },
  {
    org: 'harbour', name: 'Harbour Clinic',
    patients: [
      { id: 'harbour-ines', name: 'Inês Duarte', birthDate: '1949-01-25', encounter: 'harbour-ines-visit' },
      { id: 'harbour-paul', name: 'Paul Adeyemi', birthDate: '1993-08-19', encounter: 'harbour-paul-visit' },
    ],
  },
];

const practitioner = (org: string, username: string, id: string, name: string, role: string): Person => ({ username, name, org, fhirUser: `Practitioner/${id}`, roles: [role] });
const patient = (org: string, { id, name }: { id: string; name: string }): Person => ({ username: id, name, org, fhirUser: `Patient/${id}`, roles: [] });

const ROLES: readonly (readonly [role: string, nameAtDemo: string, nameAtHarbour: string])[] = [
  ['admin', 'Dana Moreau', 'Hugo Lind'],
  ['practitioner', 'Dr. Priya Nair', 'Dr. Karl Weiss'],
  ['nurse', 'Noor Visser', 'Mia Rossi'],
  ['billing', 'Bill Okoro', 'Tess Hall'],
  ['read-only', 'Rita Lang', 'Sven Aas'],
  ['integration', 'Integration of Demo Hospital', 'Integration of Harbour Clinic'],
  ['auditor', 'Ada Quist', 'Leo Marsh'],
  ['integrity', 'Ivo Petrov', 'Uma Singh'],
];

export const DEMO_PEOPLE: readonly Person[] = [
  ...ROLES.map(([role, name]) => (role === 'admin' ? practitioner('demo', 'demo', 'demo', name, role) : practitioner('demo', role, `demo-${role}`, name, role))),
  patient('demo', { id: 'demo-anna', name: 'Anna Berg' }),
  ...ROLES.map(([role, , name]) => practitioner('harbour', `harbour-${role}`, `harbour-${role}`, name, role)),
  patient('harbour', { id: 'harbour-ines', name: 'Inês Duarte' }),
];

const OF_A_LAUNCH = /^ehr:([^:]+):([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64})$/;

/** Account of the user whom an EHR launch names: a demo person where there is one, else somebody with the role practitioner. */
export function accountOfLaunch(org: string, fhirUser: string): string {
  return DEMO_PEOPLE.find((person) => person.org === org && person.fhirUser === fhirUser)?.username ?? `ehr:${org}:${fhirUser}`;
}

export function personOf(account: string): Person | undefined {
  const [, org, fhirUser] = OF_A_LAUNCH.exec(account) ?? [];
  if (org === undefined || fhirUser === undefined) return DEMO_PEOPLE.find(({ username }) => username === account);
  return { username: account, name: fhirUser, org, fhirUser, roles: fhirUser.startsWith('Practitioner') ? ['practitioner'] : [] };
}

/** Whom the person may choose as the patient of an app: a patient chooses nobody but themselves. */
export function patientsFor(person: Person): readonly DemoPatient[] {
  const { patients = [] } = DEMO_ORGANISATIONS.find(({ org }) => org === person.org) ?? {};
  return person.fhirUser.startsWith('Patient/') ? patients.filter(({ id }) => person.fhirUser === `Patient/${id}`) : patients;
}
