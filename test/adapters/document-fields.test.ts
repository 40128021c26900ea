// The flat fields of a document and its DocumentReference, in both directions.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { DOCUMENT_CATEGORIES } from '../../src/access/policy.ts';
import { ANNOTATION_CATEGORY, CATEGORY_SYSTEM, documentOf, fieldsOf, readMetadata } from '../../src/adapters/document-fields.ts';
import { documentQuery } from '../../src/adapters/document-list.ts';
import { bulkMetadata } from '../../src/adapters/bulk-metadata.ts';
import type { JsonObject } from '../../src/fhir/json.ts';
import { validateResource } from '../../src/validation/validate-resource.ts';

const BASE = 'http://localhost:3000/fhir';
const NOW = Date.parse('2026-01-02T03:04:05.678Z');
const made = (metadata: Record<string, string>, file = { name: 'scan.pdf', contentType: 'application/pdf' }, author: string | undefined = 'Practitioner/p'): JsonObject => documentOf(readMetadata(metadata), file, { author, now: NOW });

describe('a document of the documents API', () => {
  it('is valid base R4, and shows the fields that it was made of', () => {
    const given = { patient_id: 'p1', encounter_id: 'e1', title: 'Blood count', category: 'lab', description: 'Of Monday' };
    const document = made(given);
    expect(validateResource(document, 'DocumentReference')).toEqual([]);
    expect(fieldsOf({ ...document, id: 'd1' }, BASE)).toEqual({
      id: 'd1', patient_id: 'p1', encounter_id: 'e1', title: 'Blood count', category: 'lab', content_type: 'application/pdf', url: null, file_size: null, thumbnail_url: null,
      filename: 'scan.pdf', size: null, upload_date: '2026-01-02T03:04:05.678Z',
    });
  });

  it.each(['Practitioner/p', 'Patient/p', 'RelatedPerson/p'])('names %s as its author, but no Person, for which R4 has no room', (author) => {
    expect(made({ patient_id: 'p' }, undefined, author)['author']).toEqual([{ reference: author }]);
    expect(made({ patient_id: 'p' }, undefined, 'Person/p')).not.toHaveProperty('author');
  });

  it.each([[{ patient_id: 'Patient/p1' }, 'p1'], [{ patient_id: 'p1', unknown: 'x' }, 'p1']])('of %j is about %s', (metadata, patient) => {
    expect(made(metadata)['subject']).toEqual({ reference: `Patient/${patient}` });
  });

  it.each([{}, { patient_id: '' }, { patient_id: 'a b' }, { patient_id: 'p', encounter_id: '/' }, { patient_id: 'p', title: 'a\tb' }, { patient_id: 'p', title: 'x'.repeat(1_001) }, { patient_id: 'p', category: 'toString' }])('of %j is refused', (metadata) => {
    expect(() => readMetadata(metadata)).toThrow();
  });

  it.each<[JsonObject, object]>([
    [{}, { id: '', patient_id: null, encounter_id: null, title: null, category: 'other', content_type: null, url: null, filename: null, size: null, upload_date: null }],
    [{ subject: { reference: 'Group/1' }, category: [{ text: 'Letter' }, { coding: [{ code: '11488-4' }] }] }, { patient_id: null, category: 'other' }],
    [{ subject: { reference: `${BASE}/Patient/7` }, category: [{ coding: [{ code: 'x' }, { code: 'photo' }] }] }, { patient_id: '7', category: 'photo' }],
    [{ description: 'A letter', meta: { lastUpdated: '2020-01-01T00:00:00Z' } }, { title: 'A letter', filename: 'A letter', upload_date: '2020-01-01T00:00:00Z' }],
  ])('that FHIR clients stored as %j shows what it has', (document, fields) => {
    expect(fieldsOf(document, BASE)).toMatchObject(fields);
  });
});

describe('the filters of the list', () => {
  it('are parameters of FHIR; annotations are left out where a patient bounds the search', () => {
    expect(documentQuery([['patient_id', 'p'], ['category', 'lab,photo'], ['encounter_id', 'e'], ['date', 'ge2020'], ['_count', '5'], ['title', '']])).toEqual([
      ['patient', 'p'], ['category', `${CATEGORY_SYSTEM}|lab,${CATEGORY_SYSTEM}|photo`], ['encounter', 'e'], ['date', 'ge2020'], ['_count', '5'], ['category:not', `${CATEGORY_SYSTEM}|annotation`],
    ]);
    expect(documentQuery([['date', 'ge2020']])).toEqual([['date', 'ge2020']]);
    expect(() => documentQuery([['_include', '*']])).toThrow('The filters are');
  });
});

describe('the metadata of many files', () => {
  it.each<[[string, string][], number, object[]]>([
    [[['patient_id', 'p']], 2, [{ patient_id: 'p' }, { patient_id: 'p' }]],
    [[['patient_id', 'p'], ['metadata', '{"category":"lab"}']], 2, [{ patient_id: 'p', category: 'lab' }, { patient_id: 'p', category: 'lab' }]],
    [[['patient_id', 'p'], ['metadata', '{"title":"a"}'], ['metadata', '{"patient_id":"q"}']], 2, [{ patient_id: 'p', title: 'a' }, { patient_id: 'q' }]],
    [[['metadata', '[{"title":"a"},{"title":"b"}]']], 2, [{ title: 'a' }, { title: 'b' }]],
  ])('%j for %d files', (fields, count, expected) => {
    expect(bulkMetadata(fields, count)).toEqual(expected);
  });

  it.each<[[string, string][], number]>([[[['metadata', '[{},{}]']], 3], [[['metadata', '{}'], ['metadata', '[]']], 2], [[['metadata', '"x"']], 1], [[['metadata', '{']], 1], [[['a', '1'], ['a', '2']], 1]])('%j for %d files is refused', (fields, count) => {
    expect(() => bulkMetadata(fields, count)).toThrow();
  });
});

it('the CodeSystem has the categories of the policy, and the one of annotations', () => {
  const { url, concept } = JSON.parse(readFileSync(new URL('../../profiles/CodeSystem-document-category.json', import.meta.url), 'utf8')) as { url: string; concept: { code: string }[] };
  expect([url, ...concept.map(({ code }) => code)]).toEqual([CATEGORY_SYSTEM, ...DOCUMENT_CATEGORIES, ANNOTATION_CATEGORY]);
});
