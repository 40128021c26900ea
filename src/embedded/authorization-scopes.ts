// Which scopes of SMART App Launch 2.2 the development authorization server gives to whom, and what they mean in words.

export interface ScopeWords {
  scope: string;
  words: string;
}

/** Scopes that name no resource type. */
export const PLAIN_SCOPES: Readonly<Record<string, string>> = {
  'openid': 'Know that you have signed in',
  'fhirUser': 'Know which resource describes you',
  'profile': 'Know your name',
  'launch': 'Take over the patient and the encounter that are open in the record',
  'launch/patient': 'Know which patient it is about',
  'launch/encounter': 'Know which encounter it is about',
  'offline_access': 'Keep its access while you are away, until you take it back',
  'online_access': 'Keep its access as long as you are signed in',
};

interface ResourceScope {
  context: string;
  type: string;
  letters: string;
  query: string;
}

const VERSION_1: Readonly<Record<string, string>> = { 'read': 'rs', 'write': 'cud', '*': 'cruds' };

function splitScope(scope: string): ResourceScope | undefined {
  const [, context, type, permissions, query = ''] = /^(patient|user|system)\/([^.]+)\.([^?]+)(?:\?(.+))?$/.exec(scope) ?? [];
  if (context === undefined || type === undefined || permissions === undefined) return undefined;
  return { context, type, letters: VERSION_1[permissions] ?? permissions, query };
}

/** Whether what is registered includes what is asked for. */
function covers(registered: string, asked: string): boolean {
  if (registered === asked) return true;
  const [wide, narrow] = [splitScope(registered), splitScope(asked)];
  if (wide === undefined || narrow === undefined || wide.context !== narrow.context) return false;
  return (wide.type === '*' || wide.type === narrow.type) && [...narrow.letters].every((letter) => wide.letters.includes(letter)) && (wide.query === '' || wide.query === narrow.query);
}

export interface ScopeRule {
  /** Whether a scope of the form context/Type.letters is well formed and grants something. */
  grantsResources: (scope: string) => boolean;
  /** Scopes that the client registered; undefined = it named none, and may ask for any. */
  registered?: string | undefined;
}

const listOf = (text: string | undefined): string[] => [...new Set((text ?? '').split(' '))].filter((scope) => scope !== '');

function within(scope: string, { registered }: ScopeRule): boolean {
  return registered === undefined || listOf(registered).some((one) => covers(one, scope));
}

/** Of the scopes asked for, those that a person can give to an app. What is not understood is left out. */
export function userScopes(asked: string | undefined, rule: ScopeRule): string[] {
  return listOf(asked).filter((scope) => within(scope, rule) && (Object.hasOwn(PLAIN_SCOPES, scope) || (!scope.startsWith('system/') && rule.grantsResources(scope))));
}

/** Of the scopes asked for, those that a backend service can have. */
export function systemScopes(asked: string | undefined, rule: ScopeRule): string[] {
  return listOf(asked).filter((scope) => scope.startsWith('system/') && within(scope, rule) && rule.grantsResources(scope));
}

/** Whether the scopes are about one patient, so that one has to be chosen. */
export function needsPatient(scopes: readonly string[]): boolean {
  return scopes.some((scope) => scope === 'launch/patient' || scope.startsWith('patient/'));
}

const LETTER_WORDS: Readonly<Record<string, string>> = { c: 'create', r: 'read', u: 'change', d: 'delete', s: 'search' };

function joinWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

function conditionsOf(query: string): string {
  if (query === '') return '';
  const parts = query.split('&').map((pair) => {
    const [name = '', value = ''] = pair.split('=');
    try {
      return `${name} is ${decodeURIComponent(value)}`;
    } catch {
      return `${name} is ${value}`;
    }
  });
  return `, only where ${joinWords(parts)}`;
}

const WHOSE: Readonly<Record<string, (patient: string) => string>> = {
  patient: (patient) => ` of ${patient}`,
  user: () => ', as far as you may yourself',
  system: () => '',
};

/** One sentence a scope, for the page that asks for consent. `patient` is whom the app is about. */
export function describeScopes(scopes: readonly string[], patient: string): ScopeWords[] {
  return scopes.map((scope) => {
    const plain = PLAIN_SCOPES[scope];
    const parts = splitScope(scope);
    if (plain !== undefined || parts === undefined) return { scope, words: plain ?? scope };
    const actions = joinWords([...parts.letters].map((letter) => LETTER_WORDS[letter] ?? letter));
    const what = parts.type === '*' ? 'everything' : `${parts.type} resources`;
    return { scope, words: `${actions.charAt(0).toUpperCase()}${actions.slice(1)} ${what}${WHOSE[parts.context]?.(patient) ?? ''}${conditionsOf(parts.query)}` };
  });
}
