import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalText, type AccessEvent } from '../../src/audit/access-event.ts';
import { joinText, NO_SHAPE, openShape, shapeText, type ShapedText } from '../../src/audit/shaped-text.ts';
import { anyAccessEvent } from './arbitrary-event.ts';
import { accessEvent } from './sample-events.ts';

const shaped = shapeText;
const again = ({ text, parts }: ShapedText, event: AccessEvent): string | undefined => (text === undefined ? parts : joinText(openShape(text), event, parts));
const read = (at: number, changes: Partial<AccessEvent> = {}): AccessEvent => accessEvent('read', {
  id: `018cc251-0000-7000-8000-${String(at).padStart(12, '0')}`, requestId: `request-${at}`, request: { method: 'GET', url: `DocumentReference/document-${at}`, accept: '*/*' },
  entities: [{ reference: `Patient/${at}`, role: 'patient' }, { reference: `DocumentReference/document-${at}/_history/${at}`, role: 'data' }], ...changes,
});

describe('the text of an event as its row keeps it', () => {
  it('is made again, character by character, of any event', () => {
    let inShape = 0;
    fc.assert(fc.property(anyAccessEvent, (event) => {
      const kept = shaped(event);
      if (kept.shape !== NO_SHAPE) inShape += 1;
      expect(again(kept, event)).toBe(canonicalText(event));
    }), { numRuns: 2_000 });
    expect(inShape).toBeGreaterThan(200);
  });

  it('is the same shape for every read of one client, and a fifth of the text', () => {
    const kept = [read(1), read(27), read(99_999)].map(shaped);
    expect(new Set(kept.map(({ shape }) => shape)).size).toBe(1);
    for (const { parts } of kept) expect(parts.length).toBeLessThan(canonicalText(read(1)).length / 5);
  });

  it('keeps nothing of a client in the shape but who it is: no reference, address, name, query or text', () => {
    const secrets = ['Patient/hidden', 'document-hidden', '198.51.100.99', 'Dr Hidden', 'code=hidden', 'text/hidden', 'said hidden', 'range=hidden', 'subject-hidden'];
    const event = read(1, {
      address: '198.51.100.99', agent: { client: 'ward-app', name: 'Dr Hidden', subject: 'subject-hidden', user: 'Practitioner/document-hidden' }, outcomeDesc: 'said hidden',
      bytes: { contentType: 'text/hidden', range: 'range=hidden' }, request: { method: 'GET', url: 'DocumentReference?code=hidden', form: 'code=hidden', accept: 'text/hidden' },
      entities: [{ reference: 'Patient/hidden', role: 'patient' }, { reference: 'Media/document-hidden', role: 'data' }],
      write: { activity: 'CREATE', targets: ['Media/document-hidden/_history/1'], sources: [{ role: 'source', reference: 'Binary/document-hidden' }], authors: ['Practitioner/document-hidden'], custodian: 'Organization/document-hidden' },
    });
    const { text } = shaped(event);
    expect(text).toContain('ward-app');
    for (const secret of secrets) expect([secret, text?.includes(secret)]).toEqual([secret, false]);
  });

  it('is kept whole where it is rare: a purge, an id or an instant of another form', () => {
    for (const event of [read(1, { id: 'X' }), read(1, { recorded: '2026-01-02T03:04:05Z' }), read(1, { recorded: '0001-01-02T03:04:05.000Z' }), read(1, { purge: { versions: [], requestedBy: 'a', approvedBy: 'b' } })]) {
      expect(shaped(event)).toEqual({ shape: NO_SHAPE, parts: canonicalText(event), text: undefined });
    }
  });

  it('has one shape for lists of any length that are long', () => {
    const many = (count: number): AccessEvent => read(1, { entities: Array.from({ length: count }, (_, at) => ({ reference: `Media/${at}`, role: 'data' })) });
    expect(new Set([9, 40, 300].map((count) => shaped(many(count)).shape)).size).toBe(1);
    for (const count of [0, 8, 9]) expect(again(shaped(many(count)), many(count))).toBe(canonicalText(many(count)));
  });

  it('is not made of too few values', () => {
    const event = read(1);
    const { parts, text = '' } = shaped(event);
    expect(joinText(openShape(text), event, parts.slice(0, parts.lastIndexOf('\u001f')))).toBeUndefined();
  });
});
