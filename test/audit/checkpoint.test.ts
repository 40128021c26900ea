import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { openCheckpoint, parseCheckpoint, printVerifier, readVerifier, signCheckpoint } from '../../src/audit/checkpoint.ts';

const ORIGIN = 'muniment.example/log/0197';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');
const verifier = { name: ORIGIN, publicKey };
const checkpoint = { origin: ORIGIN, size: 20852163, root: Buffer.alloc(32, 7) };

describe('a checkpoint', () => {
  test('of a known key is a note whose bytes never change', () => {
    // The first key of RFC 8032 7.1 behind the fixed beginning of PKCS #8.
    const seed = Buffer.from('302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    const note = signCheckpoint(checkpoint, createPrivateKey({ key: seed, format: 'der', type: 'pkcs8' }));
    expect(note.split('\n').slice(0, 4)).toEqual([ORIGIN, '20852163', 'BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=', '']);
    expect(note).toMatch(/^[^\n]+\n\d+\n[^\n]+\n\n\u2014 muniment\.example\/log\/0197 [A-Za-z0-9+/]+={0,2}\n$/u);
    expect(signCheckpoint(checkpoint, createPrivateKey({ key: seed, format: 'der', type: 'pkcs8' }))).toBe(note);
  });

  test('is opened with the key alone, and that key passes through its own text', () => {
    const again = readVerifier(printVerifier(verifier));
    expect(again?.name).toBe(ORIGIN);
    expect(openCheckpoint(signCheckpoint(checkpoint, privateKey), again === undefined ? [] : [again])).toEqual(checkpoint);
  });

  test('the verifier key of the signed-note specification is read, and one with another hash is not', () => {
    const published = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
    expect(readVerifier(published)?.name).toBe('PeterNeumann');
    expect(printVerifier(readVerifier(published) ?? verifier)).toBe(published);
    expect(readVerifier(published.replace('c74f20a3', 'c74f20a4'))).toBeUndefined();
    expect(readVerifier(published.replace('+AR', '+BR'))).toBeUndefined();
    expect(readVerifier('')).toBeUndefined();
  });

  test('is not opened with another key, under another name, or without a verifier', () => {
    const note = signCheckpoint(checkpoint, privateKey);
    expect(openCheckpoint(note, [{ name: ORIGIN, publicKey: stranger.publicKey }])).toBeUndefined();
    expect(openCheckpoint(note, [{ name: 'another.example', publicKey }])).toBeUndefined();
    expect(openCheckpoint(note, [])).toBeUndefined();
  });

  test('is opened beside the signatures of witnesses, which are passed over', () => {
    const [, witness] = signCheckpoint({ ...checkpoint, origin: 'witness.example' }, stranger.privateKey).split('\n\n');
    expect(openCheckpoint(`${signCheckpoint(checkpoint, privateKey)}${witness}`, [verifier])).toEqual(checkpoint);
  });

  test('is not opened when any of its bytes was changed', () => {
    const note = Buffer.from(signCheckpoint(checkpoint, privateKey));
    fc.assert(fc.property(fc.nat(note.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(note);
      changed[at] = (changed[at] ?? 0) ^ change;
      // Unused bits of the last base64 digit do not count.
      const opened = openCheckpoint(changed.toString(), [verifier]);
      if (opened !== undefined) expect(opened).toEqual(checkpoint);
      if (at < note.indexOf('\n\n')) expect(opened).toBeUndefined();
    }), { numRuns: 500 });
  });

  test.each([
    ['nothing', ''], ['no signature', `${ORIGIN}\n1\n${Buffer.alloc(32).toString('base64')}\n`],
    ['a size with a leading zero', signCheckpoint(checkpoint, privateKey).replace('20852163', '020852163')],
    ['a short root', signCheckpoint({ ...checkpoint, root: Buffer.alloc(31) }, privateKey)],
    ['cut in its last line', signCheckpoint(checkpoint, privateKey).slice(0, -1)],
  ])('%s is none', (_, note) => {
    expect(parseCheckpoint(note)).toBeUndefined();
    expect(openCheckpoint(note, [verifier])).toBeUndefined();
  });

  test('an origin that would break its lines, and a key that is not Ed25519, are refused', () => {
    expect(() => signCheckpoint({ ...checkpoint, origin: 'two\nlines' }, privateKey)).toThrow('without white space');
    expect(() => signCheckpoint(checkpoint, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)).toThrow('Ed25519');
  });
});
