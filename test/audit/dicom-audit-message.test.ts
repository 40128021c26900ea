// Syslog messages with DICOM audit messages in them: well formed whatever is in the event, and told as the AuditEvent tells it.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { printDicomAuditMessage } from '../../src/audit/dicom-audit-message.ts';
import { renderAuditEvent } from '../../src/audit/render-audit-event.ts';
import { syslogFrame } from '../../src/audit/syslog-message.ts';
import { anyAccessEvent, PLANTED_TOKEN } from './arbitrary-event.ts';
import { sampleEvents } from './sample-events.ts';

interface Element { name: string; attributes: Record<string, string>; text: string }

function elementsOf(xml: string): Element[] {
  const found: Element[] = [];
  const parser = new SaxesParser();
  parser.on('error', (error) => { throw error; });
  parser.on('opentag', ({ name, attributes }) => found.push({ name, attributes: attributes, text: '' }));
  parser.on('text', (text) => { const last = found.at(-1); if (last !== undefined) last.text += text; });
  parser.write(xml).close();
  return found;
}

const named = (elements: Element[], name: string): Element[] => elements.filter((element) => element.name === name);

/** PS3.15 A.5.1: children of each element in this order. */
const ORDER: Record<string, RegExp> = {
  AuditMessage: /^EventIdentification (ActiveParticipant )+AuditSourceIdentification (ParticipantObjectIdentification )*$/,
  EventIdentification: /^EventID (EventTypeCode )*(EventOutcomeDescription )?(PurposeOfUse )*$/,
  ActiveParticipant: /^(RoleIDCode )*$/,
  AuditSourceIdentification: /^(AuditSourceTypeCode )*$/,
  ParticipantObjectIdentification: /^ParticipantObjectIDTypeCode (ParticipantObjectName |ParticipantObjectQuery )(ParticipantObjectDetail )*(ParticipantObjectDescription )*$/,
};

function expectOrder(xml: string): void {
  const open: { name: string; children: string }[] = [{ name: '', children: '' }];
  const parser = new SaxesParser();
  parser.on('opentag', ({ name }) => { const parent = open.at(-1); if (parent !== undefined) parent.children += `${name} `; open.push({ name, children: '' }); });
  parser.on('closetag', () => { const { children, name } = open.pop() ?? { name: '', children: '' }; expect(children).toMatch(ORDER[name] ?? /^$/); });
  parser.write(xml).close();
}

describe('a DICOM audit message', () => {
  it.each(Object.entries(sampleEvents()))('tells %s as its AuditEvent does', (_, event) => {
    const xml = printDicomAuditMessage(event);
    const elements = elementsOf(xml);
    const rendered = renderAuditEvent(event);
    expectOrder(xml);
    expect(named(elements, 'EventIdentification')[0]?.attributes).toEqual({ EventActionCode: rendered.action, EventDateTime: rendered.recorded, EventOutcomeIndicator: rendered.outcome });
    expect(named(elements, 'EventID')[0]?.attributes['csd-code']).toBe('rest');
    expect(named(elements, 'EventTypeCode')[0]?.attributes['csd-code']).toBe(rendered.subtype[0]?.code);
    expect(named(elements, 'EventOutcomeDescription')[0]?.text).toBe(rendered.outcomeDesc);
    expect(named(elements, 'ActiveParticipant').map(({ attributes }) => attributes['UserIsRequestor'])).toEqual(rendered.agent.map(({ requestor }) => String(requestor)));
    const references = (rendered.entity ?? []).flatMap(({ what }) => (what !== undefined && 'reference' in what ? [what.reference] : []));
    expect(named(elements, 'ParticipantObjectIdentification').map(({ attributes }) => attributes['ParticipantObjectID'])).toEqual(expect.arrayContaining([...references, `AuditEvent/${event.id}`]));
    expect(named(elements, 'ParticipantObjectQuery').map(({ text }) => text)).toEqual((rendered.entity ?? []).flatMap(({ query }) => query ?? []));
  });

  it('is well formed whatever the event holds, and holds no token', () => {
    fc.assert(fc.property(anyAccessEvent, (event) => {
      const xml = printDicomAuditMessage(event);
      expectOrder(xml);
      expect(elementsOf(xml).length).toBeGreaterThan(5);
      const decoded = named(elementsOf(xml), 'ParticipantObjectDetail').map(({ attributes }) => Buffer.from(attributes['value'] ?? '', 'base64').toString());
      expect(`${xml}${decoded.join(' ')}`).not.toContain(PLANTED_TOKEN);
    }), { numRuns: 300 });
  });
});

describe('a syslog message', () => {
  it('has its octets counted, a header of RFC 5424 in ASCII, and XML behind a mark of UTF-8', () => {
    fc.assert(fc.property(anyAccessEvent, (event) => {
      const frame = syslogFrame(event);
      const space = frame.indexOf(' ');
      expect(frame.length - space - 1).toBe(Number(frame.toString('latin1', 0, space)));
      const mark = frame.indexOf(Buffer.from([0xef, 0xbb, 0xbf]));
      const header = frame.toString('latin1', space + 1, mark);
      expect(header).toMatch(/^<8[345]>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [\x21-\x7e]{1,255} muniment - DICOM\+RFC3881 - $/);
      expect(frame.toString('utf8', mark + 3)).toBe(printDicomAuditMessage(event));
    }), { numRuns: 200 });
  });
});
