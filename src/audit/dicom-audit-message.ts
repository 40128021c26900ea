// One access as a DICOM audit message (PS3.15 A.5.1), made of its AuditEvent by the correspondence that R4 gives of the two
// (auditevent-mappings.html): who reads audit repositories by their usual tools finds the same as over FHIR.
import type { AccessEvent } from './access-event.ts';
import type { AuditAgent } from './audit-agents.ts';
import type { AuditEntity } from './audit-entities.ts';
import type { CodeableConcept, Coding } from './coding.ts';
import { renderAuditEvent } from './render-audit-event.ts';
import type { Who } from './who.ts';

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;', '\r': '&#13;', '\t': '&#9;' };
/** What XML 1.0 has no way to write (2.2) is the replacement character. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

const escaped = (text: string): string => text.replace(NOT_XML, '\ufffd').replace(/[&<>"\n\r\t]/g, (character) => ESCAPES[character] as string);

function element(name: string, attributes: Readonly<Record<string, string | undefined>>, content = ''): string {
  const written = Object.entries(attributes).map(([attribute, value]) => (value === undefined ? '' : ` ${attribute}="${escaped(value)}"`)).join('');
  return content === '' ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`;
}

/** Of what a token says without naming a code system. */
const TEXT_SYSTEM = 'urn:muniment:text';

const coded = (name: string, { code, display, system }: Coding): string => element(name, { 'csd-code': code, 'codeSystemName': system, 'originalText': display ?? code });

const codedAll = (name: string, concepts: readonly CodeableConcept[] | undefined): string =>
  (concepts ?? []).flatMap((one) => ('coding' in one ? one.coding : [{ system: TEXT_SYSTEM, code: one.text }])).map((one) => coded(name, one)).join('');

const nameOf = (who: Who): string => who.reference ?? who.identifier?.value ?? who.display ?? 'unknown';

/** Issuer and subject beside the reference, where both are known. */
function otherName({ identifier, reference }: Who): string | undefined {
  if (reference === undefined || identifier === undefined) return undefined;
  return identifier.system === undefined ? identifier.value : `${identifier.system}|${identifier.value}`;
}

function participant({ name, network, requestor, role, type, who }: AuditAgent): string {
  return element('ActiveParticipant', {
    UserID: nameOf(who), AlternativeUserID: otherName(who), UserName: name, UserIsRequestor: String(requestor),
    NetworkAccessPointID: network?.address, NetworkAccessPointTypeCode: network?.type,
  }, codedAll('RoleIDCode', [type, ...(role ?? [])]));
}

function object({ description, detail, lifecycle, query, role, type, what }: AuditEntity, event: AccessEvent): string {
  const id = what === undefined ? event.requestId : 'reference' in what ? what.reference : what.identifier.value;
  const value = (text: string): string => Buffer.from(text).toString('base64');
  return element('ParticipantObjectIdentification', {
    ParticipantObjectID: id, ParticipantObjectTypeCode: /^[1-4]$/.test(type.code) ? type.code : undefined, ParticipantObjectTypeCodeRole: role?.code, ParticipantObjectDataLifeCycle: lifecycle?.code,
  }, [
    coded('ParticipantObjectIDTypeCode', type),
    query === undefined ? element('ParticipantObjectName', {}, escaped(id)) : element('ParticipantObjectQuery', {}, query),
    ...(detail ?? []).map(({ type: name, valueString }) => element('ParticipantObjectDetail', { type: name, value: value(valueString) })),
    ...(description === undefined ? [] : [element('ParticipantObjectDescription', {}, escaped(description))]),
  ].join(''));
}

/** XML without a declaration: the encoding is that of the syslog message around it, UTF-8. */
export function printDicomAuditMessage(event: AccessEvent): string {
  const rendered = renderAuditEvent(event);
  const purposes = rendered.agent.flatMap(({ purposeOfUse }) => purposeOfUse ?? []);
  const identification = element('EventIdentification', { EventActionCode: rendered.action, EventDateTime: rendered.recorded, EventOutcomeIndicator: rendered.outcome }, [
    coded('EventID', rendered.type), ...rendered.subtype.map((subtype) => coded('EventTypeCode', subtype)),
    ...(rendered.outcomeDesc === undefined ? [] : [element('EventOutcomeDescription', {}, escaped(rendered.outcomeDesc))]),
    codedAll('PurposeOfUse', [...(rendered.purposeOfEvent ?? []), ...purposes]),
  ].join(''));
  const { observer, site, type } = rendered.source;
  const source = element('AuditSourceIdentification', { AuditEnterpriseSiteID: site, AuditSourceID: nameOf(observer) }, type.map((one) => coded('AuditSourceTypeCode', one)).join(''));
  // The id of the AuditEvent tells a repository what it has already: a message may come twice.
  const own = element('ParticipantObjectIdentification', { ParticipantObjectID: `AuditEvent/${event.id}`, ParticipantObjectTypeCode: '2', ParticipantObjectTypeCodeRole: '13' },
    `${coded('ParticipantObjectIDTypeCode', { system: 'http://hl7.org/fhir/resource-types', code: 'AuditEvent', display: 'AuditEvent' })}${element('ParticipantObjectName', {}, escaped(event.id))}`);
  return element('AuditMessage', {}, [identification, ...rendered.agent.map(participant), source, ...(rendered.entity ?? []).map((entity) => object(entity, event)), own].join(''));
}
