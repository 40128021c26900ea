import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AccessEvent } from '../../src/audit/access-event.ts';
import { indexAccess, subtypeOf } from '../../src/audit/access-index.ts';
import { eventMaker } from '../../src/audit/shaped-event.ts';
import { shapeText } from '../../src/audit/shaped-text.ts';
import { anyAccessEvent } from './arbitrary-event.ts';
import { accessEvent } from './sample-events.ts';

const ROW = { id: '018cc251-0000-7000-8000-000000000001', recorded: '2026-03-04T10:20:30.000Z' };
const read = accessEvent('read', { ...ROW, entities: [{ reference: 'Patient/100 % sure', role: 'patient' }, { reference: 'Media/1/_history/2', role: 'data' }] });

function told(event: AccessEvent, made: Pick<AccessEvent, 'layout' | 'action' | 'interaction' | 'outcome' | 'org' | 'requestId' | 'agent' | 'entities' | 'id' | 'recorded'>): unknown {
  const { layout, action, outcome, org, requestId, id, recorded } = made;
  return { layout, action, outcome, org, requestId, id, recorded, subtype: subtypeOf(made), ...indexAccess(made === event ? event : made) };
}

describe('an event told from its shape', () => {
  it('is indexed as its text is, whatever the event', () => {
    let many = 0;
    // What reads of every day hold: no write, and texts that stand in JSON as they are.
    const plain = (event: AccessEvent): AccessEvent => JSON.parse(JSON.stringify({ ...event, write: undefined, purge: undefined }, (_name, value: unknown) => (typeof value === 'string' ? value.replace(/[^ !#-[\]-~\u00a1-\u07ff]/g, '_') : value))) as AccessEvent;
    fc.assert(fc.property(fc.oneof(anyAccessEvent, anyAccessEvent.map(plain)), (event) => {
      const { text, parts } = shapeText(event);
      const made = text === undefined ? undefined : eventMaker(text)?.(event, parts);
      if (made === undefined) return;
      many += 1;
      const { write, purge } = event;
      expect([write, purge]).toEqual([undefined, undefined]);
      expect(told(event, made)).toEqual(told(event, event));
    }), { numRuns: 2_000 });
    expect(many).toBeGreaterThan(50);
  });

  it('is told of the reads of every day', () => {
    const { text = '', parts } = shapeText(read);
    expect(eventMaker(text)?.(ROW, parts)).toMatchObject({ requestId: read.requestId, entities: read.entities, agent: { user: 'Practitioner/17', subject: 'a1b2', client: 'ward-app' } });
  });

  it('is not told where values could end their string, are too few, or stand where none may', () => {
    const { text = '', parts } = shapeText(read);
    const make = eventMaker(text);
    for (const one of [`${parts}"`, `${parts}\\`, `"x":"y${parts}`, '']) expect(make?.(ROW, one)).toBeUndefined();
    const sized = shapeText({ ...read, bytes: { size: 77 } });
    const places = sized.parts.split('\u001f');
    const holding = (size: string): string => places.map((one) => (one === '77' ? size : one)).join('\u001f');
    expect([eventMaker(sized.text ?? '')?.(ROW, sized.parts), eventMaker(sized.text ?? '')?.(ROW, holding('{}'))]).toEqual([expect.objectContaining({ requestId: read.requestId }), undefined]);
    for (const other of [
      text.replace('"action":"R"', '"action":"%3$s"'), text.replace('"action":', '"%3$s":'), text.replace('"id":"%1$s"', '"id":"%3$s"'), text.replace('"recorded":"%2$s"', '"recorded":"2026"'),
      text.replace('"org":"', '"org":"%3$s'), text.replace('"outcome":0', '"outcome":"%3$s"'), text.replace('"status":200', '"status":200,"write":{}'), `${text}}`, 'null', '',
    ]) expect([other, eventMaker(other)]).toEqual([other, undefined]);
  });
});
