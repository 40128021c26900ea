import { describe, expect, test } from '@jest/globals';
import { shownText, shownUri, withoutCredentials } from '../../src/audit/shown-text.ts';

describe('text of a request', () => {
  test.each([
    ['Bearer abc.def-1', '[credentials]'],
    ['DocumentReference?patient=1&access_token=s3cret&_count=2', 'DocumentReference?patient=1&access_token=[token]&_count=2'],
    ['client_secret=x&grant_type=y', 'client_secret=[token]&grant_type=y'],
    ['files/AbC-1.2?download=1', 'files/[token]?download=1'],
    ['the token eyJhbGciOiJub25lIn0.eyJhIjoxfQ. is forged', 'the token [token] is forged'],
    ['Patient/1/files/7', 'Patient/1/files/7'],
    ['DocumentReference?identifier=urn:x|token', 'DocumentReference?identifier=urn:x|token'],
  ])('%s is shown as %s', (text, shown) => {
    expect(withoutCredentials(text)).toBe(shown);
  });

  test('is a string of R4, or nothing', () => {
    expect(shownText('a\u0000b\u00a0c')).toBe('a\ufffdb c');
    expect(shownText(' \u2003 ')).toBeUndefined();
    expect(shownUri('https://issuer.example.org/a b')).toBe('https://issuer.example.org/a%20b');
  });
});
