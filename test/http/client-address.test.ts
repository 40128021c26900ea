import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cameInClear, clientAddress, trustedProxies } from '../../src/http/client-address.ts';

const TRUSTED = trustedProxies(['10.0.0.0/8', '192.168.1.1', '2001:db8::/32']);

describe('the address of a client', () => {
  it.each<[string, string | undefined, Record<string, string>, string | undefined]>([
    ['the peer, without proxies', '203.0.113.9', {}, '203.0.113.9'],
    ['the peer, whatever a stranger says', '203.0.113.9', { 'x-forwarded-for': '1.2.3.4', 'forwarded': 'for=1.2.3.4' }, '203.0.113.9'],
    ['what a trusted proxy forwards', '10.1.2.3', { 'x-forwarded-for': '198.51.100.7' }, '198.51.100.7'],
    ['also of a peer in the form of IPv6', '::ffff:10.1.2.3', { 'x-forwarded-for': '198.51.100.7' }, '198.51.100.7'],
    ['the last one that is no proxy: what stands before it is the client\'s own word', '10.1.2.3', { 'x-forwarded-for': '1.2.3.4, 198.51.100.7, 192.168.1.1' }, '198.51.100.7'],
    ['the first proxy, when all are', '10.1.2.3', { 'x-forwarded-for': '10.0.0.1, 10.0.0.2' }, '10.0.0.1'],
    ['of Forwarded (RFC 7239)', '10.1.2.3', { forwarded: 'for=1.2.3.4;proto=https, for="[2a00::7]:4711";by=10.0.0.9' }, '2a00::7'],
    ['without a port', '10.1.2.3', { 'x-forwarded-for': '198.51.100.7:4711' }, '198.51.100.7'],
    ['of a proxy with IPv6', '2001:db8::1', { 'x-forwarded-for': '198.51.100.7' }, '198.51.100.7'],
    ['the proxy, where it forwards no address', '10.1.2.3', { forwarded: 'for=_hidden' }, '10.1.2.3'],
    ['the proxy, where it forwards nothing', '10.1.2.3', {}, '10.1.2.3'],
    ['none, when the peer is gone', undefined, { 'x-forwarded-for': '198.51.100.7' }, undefined],
  ])('is %s', (_what, peer, headers, expected) => {
    expect(clientAddress(peer, (name) => headers[name], TRUSTED)).toBe(expected);
  });

  it('is an address, whatever is forwarded', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (plain, forwarded) => {
      expect(clientAddress('10.0.0.1', (name) => ({ 'x-forwarded-for': plain, forwarded })[name], TRUSTED)).toMatch(/^[0-9a-fA-F.:]+(%\S+)?$/);
    }));
  });
});

describe('whether a request came without TLS', () => {
  it.each<[string, string | undefined, Record<string, string>, boolean]>([
    ['a trusted proxy says http', '10.1.2.3', { 'x-forwarded-proto': 'http' }, true],
    ['a trusted proxy says https', '10.1.2.3', { 'x-forwarded-proto': 'https' }, false],
    ['the first of several counts, which the client came to', '10.1.2.3', { 'x-forwarded-proto': 'http, https' }, true],
    ['the first of several was reached by TLS', '10.1.2.3', { 'x-forwarded-proto': 'HTTPS, http' }, false],
    ['Forwarded says so', '10.1.2.3', { forwarded: 'for=1.2.3.4;proto=http' }, true],
    ['Forwarded says https', '10.1.2.3', { forwarded: 'for=1.2.3.4;proto="https"' }, false],
    ['a stranger\'s word counts for nothing', '203.0.113.9', { 'x-forwarded-proto': 'http' }, false],
    ['nothing is said', '10.1.2.3', {}, false],
    ['the peer is gone', undefined, { 'x-forwarded-proto': 'http' }, false],
  ])('%s', (_what, peer, headers, expected) => {
    expect(cameInClear(peer, (name) => headers[name], TRUSTED)).toBe(expected);
  });
});
