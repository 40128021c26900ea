// The tokens of the authorization matrix: every form of scope, each set of roles, each launch context.

export const CATEGORY_SYSTEM = 'https://muniment.example/fhir/CodeSystem/document-category';

const q = `${CATEGORY_SYSTEM}|`;

/** Each on its own and some together; those that grant nothing are among them. */
export const SCOPE_FORMS = [
  'user/*.cruds', 'system/*.cruds', 'patient/*.cruds', 'user/*.*', 'user/*.read', 'user/*.write', 'patient/*.read',
  'user/DocumentReference.cruds', 'user/DocumentReference.rs', 'user/DocumentReference.r', 'user/DocumentReference.s', 'user/DocumentReference.c', 'user/DocumentReference.u', 'user/DocumentReference.d',
  'user/DocumentReference.cud', 'system/DocumentReference.rs', 'patient/DocumentReference.rs', 'patient/DocumentReference.cruds', 'user/Media.rs', 'user/List.cruds', 'user/AuditEvent.rs', 'user/Provenance.rs', 'patient/AuditEvent.rs',
  `user/DocumentReference.rs?category=${q}lab`, `user/DocumentReference.cruds?category=${q}lab,${q}imaging`, `user/DocumentReference.cruds?category=lab`, `patient/DocumentReference.cruds?category=${q}lab`,
  `system/DocumentReference.rs?category=${q}lab&status=current`, 'user/DocumentReference.rs?status=superseded', `user/*.rs?category=${q}lab`, 'user/*.cruds?status=current', 'user/DocumentReference.rs?patient=Patient/p1', 'user/DocumentReference.rs?patient=p1',
  `user/DocumentReference.rs?category=${encodeURIComponent(`${q}insurance`)}`,
  `user/DocumentReference.rs?category=${q}lab user/DocumentReference.rs?category=${q}insurance`, `patient/DocumentReference.rs user/DocumentReference.rs?category=${q}imaging`, 'patient/DocumentReference.rs user/DocumentReference.c', 'openid fhirUser launch/patient offline_access patient/DocumentReference.rs',
  // These grant nothing.
  '', 'openid', 'user/DocumentReference.sr', 'user/DocumentReference.rr', 'user/documentreference.rs', 'users/*.cruds', 'user/*', 'user/DocumentReference.', 'user/DocumentReference.rs?', 'user/DocumentReference.read?status=current',
  'user/DocumentReference.rs?unknown-parameter=1', 'user/DocumentReference.rs?status:not=current', 'user/DocumentReference.rs?patient.name=peter', 'user/Observation.cruds', 'User/*.cruds', 'user/**.cruds', 'user/DocumentReference.cruds?category', 'launch',
] as const;

export const ROLE_SETS: readonly (readonly string[])[] = [
  [], ['admin'], ['practitioner'], ['nurse'], ['integration'], ['read-only'], ['billing'], ['auditor'], ['integrity'], ['unknown'], ['billing', 'auditor'], ['billing', 'read-only'], ['auditor', 'unknown'],
];

export const CONTEXTS: readonly { patient?: string; fhirUser: string }[] = [
  { fhirUser: 'Practitioner/ann' }, { patient: 'p1', fhirUser: 'Practitioner/ann' }, { patient: 'p2', fhirUser: 'Practitioner/ann' }, { patient: 'p1', fhirUser: 'Patient/p1' }, { patient: 'p1', fhirUser: 'RelatedPerson/r1' },
];
