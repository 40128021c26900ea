// The scope grammar of SMART App Launch 2.2: what is well formed, and that nothing else grants anything.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseScopes, type Permission } from '../../src/access/smart-scope.ts';

const LETTERS: Permission[] = ['c', 'r', 'u', 'd', 's'];

/** Every scope as context/type:letters. */
const shown = (text: string): string[] => parseScopes(text).map((scope) => `${scope.context}/${scope.type}:${[...scope.permissions].join('')}`);

describe('parseScopes', () => {
  test.each([
    ['user/DocumentReference.rs', 'user/DocumentReference:rs'],
    ['system/*.cruds', 'system/*:cruds'],
    ['patient/Binary.r', 'patient/Binary:r'],
    ['user/Media.read', 'user/Media:rs'],
    ['user/Media.write', 'user/Media:cud'],
    ['user/Media.*', 'user/Media:cruds'],
    ['user/*.read', 'user/*:rs'],
    ['user/*.*', 'user/*:cruds'],
  ])('reads %s as %s', (text, expected) => {
    expect(shown(text)).toEqual([expected]);
  });

  test.each([
    'user/DocumentReference.sr', 'user/DocumentReference.rr', 'user/DocumentReference.RS', 'user/DocumentReference.', 'user/DocumentReference', 'user/DocumentReference.x',
    'user/documentReference.rs', 'user/Document-Reference.rs', 'user/.rs', 'user/**.rs', 'user/*.Read', 'user/*.readwrite', 'User/*.rs', 'practitioner/*.rs', '/*.rs', 'user/*.rs,', 'user//*.rs',
    'user/DocumentReference.rs?', 'user/DocumentReference.read?category=a', 'user/DocumentReference.*?category=a', 'user/DocumentReference.rs?category', 'user/DocumentReference.rs?category=', 'user/DocumentReference.rs?category=a&',
    'user/DocumentReference.rs?category=a&&type=b', 'user/DocumentReference.rs?category:in=a', 'user/DocumentReference.rs?category:not=a', 'user/DocumentReference.rs?nosuch=a', 'user/DocumentReference.rs?category=a,', 'user/DocumentReference.rs?category=a|b|c',
    'user/DocumentReference.rs?date=ge2024', 'user/DocumentReference.rs?description=a', 'user/DocumentReference.rs?_lastUpdated=2024', 'user/DocumentReference.rs?subject:Patient.name=a', 'user/DocumentReference.rs?_has:List:item:code=a',
    'user/DocumentReference.rs?encounter=e1', 'user/DocumentReference.rs?author=x/y/z', 'user/DocumentReference.rs?category=%', 'user/DocumentReference.rs?category=%00', 'user/DocumentReference.rs?category=%FF', 'user/DocumentReference.rs?category=a%5C', 'user/DocumentReference.rs?category=a=b',
    'user/DocumentReference.rs?code=a', 'user/Media.rs?category=a', 'user/AuditEvent.rs?patient=p1', 'user/Binary.r?_id=1', 'user/Patient.rs?_id=1', 'user/*.rs?nosuch=1', 'user/DocumentReference.?category=a', 'user/DocumentReference.rs??category=a',
    'user/*.rs#x', 'user/*.rs\n', '\tuser/*.rs', 'user/*.rs\u00a0',
    'openid', 'fhirUser', 'launch', 'launch/patient', 'offline_access', 'online_access', '',
  ])('grants nothing for %j', (scope) => {
    expect(parseScopes(scope)).toEqual([]);
  });

  test.each([
    ['user/DocumentReference.rs?category=a', [['category', 'a']]],
    ['patient/DocumentReference.rs?category=http://loinc.org|11488-4', [['category', 'http://loinc.org|11488-4']]],
    ['user/DocumentReference.rs?category=http%3A%2F%2Floinc.org%7C11488-4', [['category', 'http://loinc.org|11488-4']]],
    ['user/DocumentReference.rs?category=a&type=b&category=c', [['category', 'a'], ['type', 'b'], ['category', 'c']]],
    ['user/DocumentReference.rs?category=a,|b,s|', [['category', 'a,|b,s|']]],
    ['user/DocumentReference.rs?patient=p1', [['patient', 'p1']]],
    ['user/DocumentReference.rs?encounter=Encounter/e1', [['encounter', 'Encounter/e1']]],
    ['system/Media.s?operator=https://x.example/fhir/Practitioner/1', [['operator', 'https://x.example/fhir/Practitioner/1']]],
    ['user/*.rs?_security=R', [['_security', 'R']]],
  ])('reads the query of %s', (scope, filter) => {
    expect(parseScopes(scope).map((parsed) => parsed.filter)).toEqual([filter]);
  });

  test('passes over what it does not know and reads the rest', () => {
    expect(shown('openid launch/patient  user/Media.sr user/Binary.c system/*.r?x=1 user/List.s')).toEqual(['user/Binary:c', 'user/List:s']);
  });

  test('grants exactly the ordered, undoubled letter sequences', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom(...LETTERS), { minLength: 1, maxLength: 7 }), (letters) => {
      const ordered = letters.every((letter, at) => at === 0 || LETTERS.indexOf(letters[at - 1] as Permission) < LETTERS.indexOf(letter));
      expect(parseScopes(`user/List.${letters.join('')}`)).toHaveLength(ordered ? 1 : 0);
    }));
  });

  test('grants nothing for random text', () => {
    fc.assert(fc.property(fc.string({ maxLength: 60, unit: 'grapheme' }), (text) => {
      fc.pre(!/(patient|user|system)\//.test(text));
      expect(parseScopes(text)).toEqual([]);
    }));
  });

  test('grants nothing for a good scope with one character too many', () => {
    const intruder = fc.constantFrom(...'?.*/#&=%:;,|"\'\\(){}[]<>ABCxyz019\u0000\u200b\t\n');
    fc.assert(fc.property(intruder, fc.nat(25), (character, at) => {
      const scope = 'user/DocumentReference.crs';
      const changed = scope.slice(0, at) + character + scope.slice(at);
      // A letter inside the type gives the name of another type.
      for (const parsed of parseScopes(changed)) expect(parsed.type).not.toBe('DocumentReference');
    }));
  });
});
