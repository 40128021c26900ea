// Constraints of the resources that are stored, that carry others, and that documents contain
// (ElementDefinition.constraint of each StructureDefinition of R4 4.0.1).
import { parseDateRange } from '../../fhir/instant.ts';
import type { JsonObject, JsonValue } from '../../fhir/json.ts';
import { count, errors, has, hasChoice, isCoded, isDistinct, number, object, objects, text, values, warnings, type Invariant } from './invariant.ts';

const TERMINOLOGY = 'http://terminology.hl7.org/CodeSystem';
const ALLERGY_STATUS = `${TERMINOLOGY}/allergyintolerance-verification`;
const CONDITION_STATUS = `${TERMINOLOGY}/condition-ver-status`;
const CONDITION_CLINICAL = `${TERMINOLOGY}/condition-clinical`;

const hasOne = (...names: string[]) => (element: JsonObject): boolean => names.some((name) => has(element, name));
const hasNotBoth = (one: string, other: string) => (element: JsonObject): boolean => !has(element, one) || !has(element, other);
const isTyped = (resource: JsonObject | undefined, type: string): boolean => resource?.['resourceType'] === type;

/** What is stored, what is rendered, and what carries them. */
const STORED: readonly Invariant[] = errors([
  ['lst-1', 'List', 'may have an emptyReason only when it has no entries', hasNotBoth('emptyReason', 'entry')],
  ['lst-2', 'List', 'may have deleted entries only in the mode "changes"', (e) => text(e, 'mode') === 'changes' || !objects(e, 'entry').some((entry) => has(entry, 'deleted'))],
  ['lst-3', 'List', 'may have entries with a date only in the mode "working"', (e) => text(e, 'mode') === 'working' || !objects(e, 'entry').some((entry) => has(entry, 'date'))],
  ['sev-1', 'AuditEvent.entity', 'may have a name or a query, not both', hasNotBoth('name', 'query')],
  ['bdl-1', 'Bundle', 'may have a total only when it is a searchset or a history', (e) => !has(e, 'total') || isBundle(e, 'searchset', 'history')],
  ['bdl-2', 'Bundle', 'may have entries with search only when it is a searchset', (e) => isBundle(e, 'searchset') || !objects(e, 'entry').some((entry) => has(entry, 'search'))],
  ['bdl-3', 'Bundle', 'must have a request in each entry when it is a batch, transaction or history, and in none otherwise',
    (e) => objects(e, 'entry').every((entry) => has(entry, 'request') === isBundle(e, 'batch', 'transaction', 'history'))],
  ['bdl-4', 'Bundle', 'must have a response in each entry when it is a batch-response, transaction-response or history, and in none otherwise',
    (e) => objects(e, 'entry').every((entry) => has(entry, 'response') === isBundle(e, 'batch-response', 'transaction-response', 'history'))],
  ['bdl-5', 'Bundle.entry', 'must have a resource, a request or a response', hasOne('resource', 'request', 'response')],
  ['bdl-7', 'Bundle', 'has a fullUrl twice, for the same version', (e) => isBundle(e, 'history') || isDistinct(fullUrls(e))],
  ['bdl-8', 'Bundle.entry', 'may have no version in its fullUrl', (e) => !(text(e, 'fullUrl') ?? '').includes('/_history/')],
  ['bdl-9', 'Bundle', 'must have an identifier with system and value when it is a document', (e) => !isBundle(e, 'document') || isIdentified(e)],
  ['bdl-10', 'Bundle', 'must have a timestamp when it is a document', (e) => !isBundle(e, 'document') || text(e, 'timestamp') !== undefined],
  ['bdl-11', 'Bundle', 'must begin with a Composition when it is a document', (e) => !isBundle(e, 'document') || isTyped(firstResource(e), 'Composition')],
  ['bdl-12', 'Bundle', 'must begin with a MessageHeader when it is a message', (e) => !isBundle(e, 'message') || isTyped(firstResource(e), 'MessageHeader')],
  ['inv-1', 'Parameters.parameter', 'must have a value, a resource or parts: one of them',
    (e) => [hasChoice(e, 'value'), has(e, 'resource'), has(e, 'part')].filter(Boolean).length === 1],
]);

/** Who and where: what documents contain most. */
const ADMINISTRATIVE: readonly Invariant[] = errors([
  ['pat-1', 'Patient.contact', 'must have a name, telecom, address or organization', hasOne('name', 'telecom', 'address', 'organization')],
  ['org-1', 'Organization', 'must have a name or an identifier', hasOne('name', 'identifier')],
  ['org-2', 'Organization', 'may have no address of use "home"', (e) => !objects(e, 'address').some((address) => text(address, 'use') === 'home')],
  ['org-3', 'Organization', 'may have no telecom of use "home"', (e) => !objects(e, 'telecom').some((telecom) => text(telecom, 'use') === 'home')],
  ['grp-1', 'Group', 'may have members only when it is actual', (e) => !has(e, 'member') || e['actual'] === true],
  ['ppc-1', 'Consent', 'must have a policy or a policyRule', hasOne('policy', 'policyRule')],
  ...['patient-privacy', 'research', 'adr', 'treatment'].map((scope, at): [string, string, string, (e: JsonObject) => boolean] =>
    [`ppc-${at + 2}`, 'Consent', `must have a patient when its scope is ${scope}`, (e) => has(e, 'patient') || !isCoded(e, 'scope', 'something', [scope])]),
  ['app-1', 'Appointment.participant', 'must have a type or an actor', hasOne('type', 'actor')],
  ['app-2', 'Appointment', 'must have start and end, or neither', (e) => has(e, 'start') === has(e, 'end')],
  ['app-3', 'Appointment', 'must have start and end unless it is proposed, cancelled or on the waiting list',
    (e) => (has(e, 'start') && has(e, 'end')) || ['proposed', 'cancelled', 'waitlist'].includes(text(e, 'status') ?? '')],
  ['app-4', 'Appointment', 'may have a cancelationReason only when it was cancelled or not attended', (e) => !has(e, 'cancelationReason') || ['noshow', 'cancelled'].includes(text(e, 'status') ?? '')],
  ['apr-1', 'AppointmentResponse', 'must have a participantType or an actor', hasOne('participantType', 'actor')],
  ['ipn-1', 'InsurancePlan', 'must have a name or an identifier', hasOne('name', 'identifier')],
  ['ces-1', 'CoverageEligibilityResponse.insurance.item', 'must have either a category or a productOrService', (e) => has(e, 'category') !== has(e, 'productOrService')],
  ['lnk-1', 'Linkage', 'must have at least two items', (e) => count(e, 'item') > 1],
  ['inv-1', 'Task', 'may have a lastModified that is not before authoredOn', (e) => isNotBefore(e, 'lastModified', 'authoredOn')],
]);

/** What was found, planned and given. */
const CLINICAL: readonly Invariant[] = [
  ...errors([
    ['ait-1', 'AllergyIntolerance', 'must have a clinicalStatus unless it was entered in error', (e) => has(e, 'clinicalStatus') || isCoded(e, 'verificationStatus', ALLERGY_STATUS, ['entered-in-error'])],
    ['ait-2', 'AllergyIntolerance', 'may have no clinicalStatus when it was entered in error', (e) => !has(e, 'clinicalStatus') || !isCoded(e, 'verificationStatus', ALLERGY_STATUS, ['entered-in-error'])],
    ['cpl-3', 'CarePlan.activity', 'may have a reference or a detail, not both', hasNotBoth('detail', 'reference')],
    ['cmp-1', 'Composition.section', 'must have text, entries or sections', hasOne('text', 'entry', 'section')],
    ['cmp-2', 'Composition.section', 'may have an emptyReason only when it has no entries', hasNotBoth('emptyReason', 'entry')],
    ['con-1', 'Condition.stage', 'must have a summary or an assessment', hasOne('summary', 'assessment')],
    ['con-2', 'Condition.evidence', 'must have a code or details', hasOne('code', 'detail')],
    ['con-4', 'Condition', 'must be inactive, resolved or in remission when it has abated', (e) => !hasChoice(e, 'abatement') || isCoded(e, 'clinicalStatus', CONDITION_CLINICAL, ['resolved', 'remission', 'inactive'])],
    ['con-5', 'Condition', 'may have no clinicalStatus when it was entered in error', (e) => !has(e, 'clinicalStatus') || !isCoded(e, 'verificationStatus', CONDITION_STATUS, ['entered-in-error'])],
    ['fhs-1', 'FamilyMemberHistory', 'may have age or born, not both', (e) => !hasChoice(e, 'age') || !hasChoice(e, 'born')],
    ['fhs-2', 'FamilyMemberHistory', 'may have estimatedAge only beside age', (e) => hasChoice(e, 'age') || !has(e, 'estimatedAge')],
    ['gol-1', 'Goal.target', 'must have a measure when it has a detail', (e) => has(e, 'measure') || !hasChoice(e, 'detail')],
    ['imm-1', 'Immunization.education', 'must have a documentType or a reference', hasOne('documentType', 'reference')],
    ['imr-1', 'ImmunizationRecommendation.recommendation', 'must have a vaccineCode or a targetDisease', hasOne('vaccineCode', 'targetDisease')],
    ['mad-1', 'MedicationAdministration.dosage', 'must have a dose or a rate', (e) => has(e, 'dose') || hasChoice(e, 'rate')],
    ['mdd-1', 'MedicationDispense', 'may not be handed over before it is prepared', (e) => isNotBefore(e, 'whenHandedOver', 'whenPrepared')],
    ['mrp-1', 'MeasureReport', 'may have no groups when it is a data collection', (e) => text(e, 'type') !== 'data-collection' || !has(e, 'group')],
    ['mrp-2', 'MeasureReport', 'must have a value or components in each stratum, not both', (e) => strataOf(e).every((stratum) => has(stratum, 'value') !== has(stratum, 'component'))],
    ['msq-3', 'MolecularSequence', 'must have the coordinateSystem 0 or 1', (e) => [undefined, 0, 1].includes(number(e, 'coordinateSystem'))],
    ['msq-5', 'MolecularSequence.referenceSeq', 'must have chromosome and genomeBuild, or neither', (e) => has(e, 'chromosome') === has(e, 'genomeBuild')],
    ['msq-6', 'MolecularSequence.referenceSeq', 'must have one of genomeBuild, referenceSeqId, referenceSeqPointer, referenceSeqString',
      (e) => ['genomeBuild', 'referenceSeqId', 'referenceSeqPointer', 'referenceSeqString'].filter((name) => has(e, name)).length === 1],
    ['obs-3', 'Observation.referenceRange', 'must have a low, a high or a text', hasOne('low', 'high', 'text')],
    ['obs-6', 'Observation', 'may have a dataAbsentReason only when it has no value', (e) => !has(e, 'dataAbsentReason') || !hasChoice(e, 'value')],
    ['obs-7', 'Observation', 'may have no value of its own when a component has its code', (e) => !hasChoice(e, 'value') || !repeatsCode(e)],
    ['qrs-1', 'QuestionnaireResponse.item', 'may have items below it or below its answers, not both', hasNotBoth('answer', 'item')],
    ['rqg-1', 'RequestGroup.action', 'must have a resource or actions, not both', (e) => has(e, 'resource') !== has(e, 'action')],
    ['ras-1', 'RiskAssessment.prediction', 'must have a range of percentages', (e) => ['low', 'high'].every((name) => isPercentage(object(e, 'probabilityRange'), name))],
    ['ras-2', 'RiskAssessment.prediction', 'may have a probability of 100 at most', (e) => (number(e, 'probabilityDecimal') ?? 0) <= 100],
    ['prr-1', 'ServiceRequest', 'may have orderDetail only beside a code', (e) => !has(e, 'orderDetail') || has(e, 'code')],
  ]),
  ...warnings([
    ['con-3', 'Condition', 'should have a clinicalStatus when it is on the problem list', (e) => has(e, 'clinicalStatus') || isCoded(e, 'verificationStatus', CONDITION_STATUS, ['entered-in-error']) || !isOnProblemList(e)],
    ['nor-1', 'NutritionOrder', 'should have an oral diet, a supplement or an enteral formula', hasOne('oralDiet', 'supplement', 'enteralFormula')],
  ]),
];

export const RESOURCE_INVARIANTS: readonly Invariant[] = [...STORED, ...ADMINISTRATIVE, ...CLINICAL];

function isBundle(bundle: JsonObject, ...types: string[]): boolean {
  return types.includes(text(bundle, 'type') ?? '');
}

function fullUrls(bundle: JsonObject): string[] {
  return objects(bundle, 'entry').flatMap((entry) => {
    const url = text(entry, 'fullUrl');
    const meta = object(object(entry, 'resource') ?? {}, 'meta');
    return url === undefined ? [] : [`${url} ${(meta && text(meta, 'versionId')) ?? ''}`];
  });
}

function isIdentified(bundle: JsonObject): boolean {
  const identifier = object(bundle, 'identifier');
  return identifier !== undefined && has(identifier, 'system') && has(identifier, 'value');
}

function firstResource(bundle: JsonObject): JsonObject | undefined {
  return object(objects(bundle, 'entry')[0] ?? {}, 'resource');
}

/** Whether one date is not certainly before another. */
function isNotBefore(element: JsonObject, later: string, earlier: string): boolean {
  const [from, to] = [text(element, earlier), text(element, later)].map((date) => (date === undefined ? undefined : parseDateRange(date)));
  return from === undefined || to === undefined || to.hi > from.lo;
}

function strataOf(report: JsonObject): JsonObject[] {
  return objects(report, 'group').flatMap((group) => objects(group, 'stratifier')).flatMap((stratifier) => objects(stratifier, 'stratum'));
}

function codingsOf(element: JsonObject): string[] {
  const code = object(element, 'code');
  return code === undefined ? [] : objects(code, 'coding').map(codingKey);
}

/** No string of a resource holds NUL. */
function codingKey({ system, version, code, display, userSelected }: JsonObject): string {
  const shown = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value));
  return `${shown(system)}\0${shown(version)}\0${shown(code)}\0${shown(display)}\0${shown(userSelected)}`;
}

function repeatsCode(observation: JsonObject): boolean {
  const own = new Set(codingsOf(observation));
  return objects(observation, 'component').some((component) => codingsOf(component).some((coding) => own.has(coding)));
}

function isPercentage(range: JsonObject | undefined, name: string): boolean {
  const quantity = range && object(range, name);
  return quantity === undefined || (text(quantity, 'code') === '%' && text(quantity, 'system') === 'http://unitsofmeasure.org');
}

function isOnProblemList(condition: JsonObject): boolean {
  return objects(condition, 'category').some((category) => values(category, 'coding').some((coding) => (coding as JsonObject | null)?.['code'] === 'problem-list-item'));
}
