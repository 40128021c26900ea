import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { issueOf } from '../../src/fhir/fhir-error.ts';
import { informationElement, issueElement, printIssues } from '../../src/fhir/operation-outcome.ts';
import { parseJson, type JsonObject } from '../../src/fhir/json.ts';
import { printXml } from '../../src/fhir/print-xml.ts';

const issue = (diagnostics: string, expression?: string): object => issueElement(issueOf('invalid-parameter', diagnostics, expression));
const shown = (diagnostics: string): string => (issue(diagnostics) as { diagnostics: string }).diagnostics;

describe('an OperationOutcome', () => {
  it.each([
    ['a control character', 'a\u0017b', 'a\ufffdb'], ['NUL', '\u0000', '\ufffd'], ['a lone surrogate', 'a\ud800b', 'a\ufffdb'], ['what is no character', '\uffff', '\ufffd'],
    ['line ends and tabs, as they are', 'a\r\n\tb', 'a\r\n\tb'], ['a pair of surrogates, as it is', '\u{1f4c4}', '\u{1f4c4}'],
  ])('that quotes %s is one that can be written', (_what, text, written) => {
    expect(shown(text)).toBe(written);
    expect(issue('x', `p.where(name = '${text}')`)).toMatchObject({ expression: [`p.where(name = '${written}')`] });
    expect(informationElement(text)).toMatchObject({ diagnostics: written, details: { text: written } });
  });

  it('can be read as JSON and written as XML whatever a message quotes', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.array(fc.integer({ min: 0, max: 0xffff })), (text, units) => {
      const printed = printIssues([issue(text + String.fromCharCode(...units))]);
      const xml = printXml(parseJson(printed) as JsonObject);
      expect(xml).toMatch(/^<OperationOutcome/);
      // The characters of XML 1.0 (2.2).
      expect(xml).toMatch(/^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
    }));
  });
});
