// The search parameters that may stand in a scope (SMART App Launch 2.2, 3.0.2.1): codes and references that are compared
// for equality, so that a stored resource and one in memory are judged alike. A scope with any other grants nothing.

const EVERY = ['_id', '_security', '_tag'] as const;

export const SCOPE_PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  DocumentReference: [
    ...EVERY, 'author', 'authenticator', 'category', 'custodian', 'encounter', 'event', 'facility', 'format', 'identifier', 'patient', 'related', 'relatesto', 'security-label', 'setting',
    'status', 'subject', 'type',
  ],
  Media: [...EVERY, 'based-on', 'device', 'encounter', 'identifier', 'modality', 'operator', 'patient', 'site', 'status', 'subject', 'type', 'view'],
  List: [...EVERY, 'code', 'encounter', 'identifier', 'item', 'patient', 'source', 'status', 'subject'],
};

const REFERENCES: ReadonlySet<string> = new Set(['author', 'authenticator', 'based-on', 'custodian', 'device', 'encounter', 'item', 'operator', 'patient', 'related', 'relatesto', 'source', 'subject']);
/** Type/id, here or below the base of a server. A bare id may mean several types, and a version is not the resource. */
const REFERENCE = /^(https?:\/\/[^\s\\,|$?#]+\/)?[A-Z][A-Za-z]{1,63}\/[A-Za-z0-9\-.]{1,64}$/;
const PATIENT_ID = /^[A-Za-z0-9\-.]{1,64}$/;
const VALUES_MAX = 20;

function isValue(name: string, value: string): boolean {
  if (value === '') return false;
  if (!REFERENCES.has(name)) return /^([^|\\$]*\|)?[^|\\$]+$|^[^|\\$]+\|$/.test(value);
  return REFERENCE.test(value) || (name === 'patient' && PATIENT_ID.test(value));
}

/** Whether the criterion can be held against resources of the type, whatever they are. */
export function isScopeCriterion(type: string, name: string, value: string): boolean {
  if (!Object.hasOwn(SCOPE_PARAMETERS, type) || SCOPE_PARAMETERS[type]?.includes(name) !== true) return false;
  const values = value.split(',');
  return values.length <= VALUES_MAX && values.every((one) => isValue(name, one));
}
