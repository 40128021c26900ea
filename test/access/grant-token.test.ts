// The token of a signed URL and the ranges of addresses, by properties: one form alone is valid, and nothing near it.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomBytes, randomUUID } from 'node:crypto';
import { isAddressRange, liesWithin } from '../../src/access/address-range.ts';
import { endOfGrant, requireGranted, type AccessGrant } from '../../src/access/access-grant.ts';
import { asGranting, printOwner, readOwner } from '../../src/access/grant-owner.ts';
import { printGrantToken, readGrantToken } from '../../src/access/grant-token.ts';
import { parseScopes } from '../../src/access/smart-scope.ts';
import { authorize } from '../../src/access/authorize.ts';
import type { Principal } from '../../src/access/principal.ts';

const key = { number: 3, secret: randomBytes(32) };
const other = { number: 4, secret: randomBytes(32) };
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

describe('the token of a signed URL', () => {
  it('names its grant again, by whichever of the active keys it was signed', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.uuid(), (org, id) => {
      expect(readGrantToken([other, key], printGrantToken(key, { org, id }))).toEqual({ org, id });
    }));
  });

  it('of a picture names that as well, and is none for another picture of the same grant', () => {
    fc.assert(fc.property(fc.uuid(), fc.uuid(), fc.uuid(), fc.integer({ min: 1, max: 65_535 }), (id, content, another, edge) => {
      const token = printGrantToken(key, { org: 7, id, picture: { content, edge } });
      expect(token).toMatch(/^[\w-]{96}$/);
      expect(readGrantToken([key], token)).toEqual({ org: 7, id, picture: { content, edge } });
      const bytes = Buffer.from(token, 'base64url');
      Buffer.from(another.replaceAll('-', ''), 'hex').copy(bytes, 22);
      if (another !== content) expect(readGrantToken([key], bytes.toString('base64url'))).toBeUndefined();
      bytes[0] = 1;
      expect(readGrantToken([key], bytes.toString('base64url'))).toBeUndefined();
    }));
  });

  it('is refused with any one character replaced, left out, doubled or added', () => {
    const token = printGrantToken(key, { org: 7, id: randomUUID() });
    for (let at = 0; at < token.length; at += 1) {
      const [before, after] = [token.slice(0, at), token.slice(at + 1)];
      for (const character of [...ALPHABET, '=', '+', '/', '.', '%']) {
        if (character !== token[at]) expect(readGrantToken([key], before + character + after)).toBeUndefined();
        expect(readGrantToken([key], before + character + token.slice(at))).toBeUndefined();
      }
      expect(readGrantToken([key], before + after)).toBeUndefined();
    }
    expect(readGrantToken([key], '')).toBeUndefined();
  });

  it('is refused under a key that is no longer active, and under another secret of the same number', () => {
    const token = printGrantToken(key, { org: 7, id: randomUUID() });
    expect(readGrantToken([other], token)).toBeUndefined();
    expect(readGrantToken([{ number: key.number, secret: other.secret }], token)).toBeUndefined();
    expect(readGrantToken([], token)).toBeUndefined();
  });
});

describe('a range of addresses', () => {
  it.each([
    ['192.0.2.0/24', '192.0.2.255', true], ['192.0.2.0/24', '192.0.3.0', false], ['192.0.2.7', '192.0.2.7', true], ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.0/24', '::ffff:192.0.2.9', true], ['::ffff:192.0.2.0/120', '192.0.2.9', true], ['::ffff:192.0.2.0/120', '192.0.3.9', false],
    ['0.0.0.0/0', '203.0.113.1', true], ['0.0.0.0/0', '2001:db8::1', false], ['2001:db8::/32', '2001:db8:ffff::1', true], ['2001:db8::/32', '2001:db9::1', false],
    ['fe80::/10', 'fe80::1%eth0', true], ['::1', '127.0.0.1', false], ['::1/128', '::1', true],
  ])('%s and %s: %s', (range, address, inside) => {
    expect([isAddressRange(range), liesWithin([range], address)]).toEqual([true, inside]);
  });

  it.each(['', '192.0.2.0/33', '192.0.2/24', '192.0.2.0/-1', '192.0.2.0/024', '2001:db8::/129', '192.0.2.0/24/8', 'example.org', 'fe80::1%eth0/64', ' 192.0.2.0/24', '192.0.2.0/', '::ffff:192.0.2.0/95'])('%j is none', (text) => {
    expect(isAddressRange(text)).toBe(false);
  });

  it('holds every address where there is no range, and none that is not known where there is one', () => {
    expect([liesWithin([], undefined), liesWithin(['0.0.0.0/0'], undefined), liesWithin(['0.0.0.0/0'], 'unix')]).toEqual([true, false, false]);
  });
});

describe('a grant', () => {
  const grant: AccessGrant = { id: randomUUID(), type: 'Binary', resourceId: 'a', method: 'GET', allowedIp: [], createdAt: 0, expiresAt: 1_000, used: 0 };
  const at = { method: 'GET', address: '192.0.2.1', now: 999 };

  it('ends at its very instant, when revoked and when used up', () => {
    expect(endOfGrant(grant, 999)).toBeUndefined();
    expect(endOfGrant(grant, 1_000)?.detail).toBe('grant-ended');
    expect(endOfGrant({ ...grant, revokedAt: 1 }, 2)?.detail).toBe('grant-ended');
    expect(endOfGrant({ ...grant, usesMax: 2, used: 1 }, 2)).toBeUndefined();
    expect(endOfGrant({ ...grant, usesMax: 2, used: 2 }, 2)?.detail).toBe('grant-ended');
  });

  it('is for its method and its addresses alone', () => {
    expect(() => { requireGranted(grant, { ...at, method: 'HEAD' }); }).not.toThrow();
    expect(() => { requireGranted(grant, { ...at, method: 'PUT' }); }).toThrow('for GET alone');
    expect(() => { requireGranted({ ...grant, method: 'PUT' }, { ...at, method: 'HEAD' }); }).toThrow('for PUT alone');
    expect(() => { requireGranted({ ...grant, allowedIp: ['198.51.100.0/24'] }, at); }).toThrow('not for this address');
  });

  const owner: Principal = {
    issuer: 'urn:issuer', subject: 'sub', clientId: 'app', jti: 'never kept', org: 'demo', fhirUser: 'Practitioner/1', roles: ['practitioner'], expiresAt: 5,
    scopes: parseScopes('user/Binary.r patient/DocumentReference.rs?category=lab'), patient: '7', purposeOfUse: ['TREAT'],
  };

  it('keeps its owner without their token', () => {
    const { jti: _jti, ...rest } = owner;
    expect(readOwner(printOwner(owner), 9)).toEqual({ ...rest, expiresAt: 9 });
    expect(printOwner(owner)).not.toContain('never kept');
  });

  it('lends what its owner may grant, and nothing that they may not read', () => {
    const may = (roles: string[], interaction: 'read' | 'update'): boolean => authorize(asGranting({ ...owner, roles, scopes: parseScopes('user/*.cruds') }), { interaction, type: 'Binary' }).permit;
    expect([may(['practitioner'], 'read'), may(['admin'], 'update'), may(['read-only'], 'read'), may(['nurse'], 'read'), may(['nurse'], 'update'), may(['billing'], 'read')]).toEqual([true, true, false, false, false, false]);
  });
});
