// What tells a repetition from another request: every byte of a body, but for the boundary of a form.
import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bodyDigest } from '../../src/http/body-digest.ts';

function digestOf(contentType: string | undefined, body: string, cuts: readonly number[] = []): string {
  const digest = bodyDigest(contentType);
  const bytes = Buffer.from(body);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let at = 1; at < places.length; at += 1) digest.update(bytes.subarray(places[at - 1], places[at]));
  return digest.digest().toString('hex');
}

const form = (boundary: string, values: readonly string[]): string => `${values.map((value) => `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n${value}\r\n`).join('')}--${boundary}--\r\n`;
const typed = (boundary: string): string => `multipart/form-data; boundary=${boundary}`;

describe('the digest of a body', () => {
  it('of a form is the same under every boundary, however it comes in pieces', () => {
    const boundary = fc.stringMatching(/^[A-Za-z0-9]{1,30}$/).map((text) => `----x${text}`);
    fc.assert(fc.property(boundary, boundary, fc.array(fc.string()), fc.array(fc.nat()), fc.array(fc.nat()), (one, other, values, cuts, otherCuts) => {
      expect(digestOf(typed(one), form(one, values), cuts)).toBe(digestOf(typed(other), form(other, values), otherCuts));
    }));
  });

  it('of forms with other values, or with other parts, is another', () => {
    expect(digestOf(typed('b'), form('b', ['one']))).not.toBe(digestOf(typed('b'), form('b', ['two'])));
    expect(digestOf(typed('b'), form('b', ['one']))).not.toBe(digestOf(typed('b'), form('b', ['one', 'one'])));
  });

  it.each(['multipart/form-data; boundary="a b"', 'Multipart/Form-Data;charset=utf-8; Boundary="a b"'])('%s names its boundary', (contentType) => {
    expect(digestOf(contentType, form('a b', ['x']))).toBe(digestOf(typed('c'), form('c', ['x'])));
  });

  it.each([undefined, 'application/json', 'multipart/form-data'])('of a body that is %s is the SHA-256 of its bytes', (contentType) => {
    expect(digestOf(contentType, '--b hello', [3])).toBe(createHash('sha256').update('--b hello').digest('hex'));
  });
});
