// What an image of a person is as FHIR has it: a Media with the tag `profile`, of one id for each person. Pure.
import { createHash } from 'node:crypto';
import { printInstant } from '../fhir/instant.ts';
import type { JsonObject } from '../fhir/json.ts';
import { CANONICAL_BASE } from '../search/search-parameter.ts';

export const PROFILE_TAG = { system: `${CANONICAL_BASE}/CodeSystem/image-use`, code: 'profile' } as const;
export const IMAGE_EDGE = 512;
export const AVATAR_EDGE = 96;

export interface ImagedPerson {
  /** As the path has it. */
  kind: 'patient' | 'practitioner';
  type: 'Patient' | 'Practitioner';
  id: string;
}

/** The Media of a person's image: ids of people have 64 characters, so it is made of a digest. */
export const mediaIdOf = ({ kind, id }: Pick<ImagedPerson, 'kind' | 'id'>): string => `profile-${createHash('sha256').update(`${kind}/${id}`).digest('hex').slice(0, 40)}`;

/** Before its bytes are described. `operator` is the user of the token. */
export function imageMedia({ type, id }: ImagedPerson, { operator, now }: { operator: string | undefined; now: number }): JsonObject {
  return {
    resourceType: 'Media',
    meta: { tag: [{ ...PROFILE_TAG }] },
    status: 'completed',
    type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/media-type', code: 'image' }] },
    subject: { reference: `${type}/${id}` },
    createdDateTime: printInstant(now),
    ...(/^(?:Practitioner|PractitionerRole|Organization|Patient|Device|RelatedPerson)\//.test(operator ?? '') ? { operator: { reference: operator ?? '' } } : {}),
    height: IMAGE_EDGE,
    width: IMAGE_EDGE,
    content: { contentType: 'image/jpeg', title: 'Profile image' },
  };
}

/** The Attachment that stands in Patient.photo or Practitioner.photo at HAPI. */
export function photoOf(content: JsonObject): JsonObject {
  const { contentType, url, size, hash, title } = content;
  return Object.fromEntries(Object.entries({ contentType, url, size, hash, title }).filter((entry): entry is [string, NonNullable<typeof contentType>] => entry[1] !== undefined));
}
