// The photo of a Patient or Practitioner, who live at HAPI: read, changed in that one element and written back under the version that
// was read, so that nobody's change is lost. A photo is ours when it points to a Binary of this server; others stay as they are.
import { isJsonObject, parseJson, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import type { LeasedVersion } from './claim.ts';
import { again, failureOf, type Call, type DeliveryResult } from './guarded-write.ts';

/** Others may change the person between our reading and writing. */
const ROUNDS_MAX = 4;

function isOurs(photo: JsonValue, publicBase: string): boolean {
  return isJsonObject(photo) && typeof photo['url'] === 'string' && photo['url'].startsWith(`${publicBase}/Binary/`);
}

/** The person with `photo` in the place of ours; undefined where nothing changes. */
export function withPhoto(person: JsonObject, photo: JsonValue, publicBase: string): JsonObject | undefined {
  const before = Array.isArray(person['photo']) ? person['photo'] : [];
  const others = before.filter((one) => !isOurs(one, publicBase));
  const after = photo === null ? others : [photo, ...others];
  if (printJson(before) === printJson(after)) return undefined;
  const { photo: _photo, ...rest } = person;
  return after.length === 0 ? rest : { ...rest, photo: after };
}

/** Never rejects because of HAPI. */
export async function deliverPhoto(leased: LeasedVersion, photoText: string, publicBase: string, call: Call): Promise<DeliveryResult> {
  const { type, id, leaseUntil } = leased;
  const path = `${type}/${id}`;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (performance.now() >= leaseUntil) return again('The lease ended before HAPI answered');
    const held = await call({ method: 'GET', path });
    if (held.status !== 200 || held.version === undefined) return failureOf(held, leased);
    const changed = withPhoto(held.resource, parseJson(photoText), publicBase);
    if (changed === undefined) return { kind: 'delivered', hapiVersion: held.version };
    const written = await call({ method: 'PUT', path, body: printJson(changed), ifMatch: held.version });
    if (written.status === 200 && written.version !== undefined) return { kind: 'delivered', hapiVersion: written.version };
    if (written.status !== 409 && written.status !== 412) return failureOf(written, leased);
  }
  return again(`${path} is changed at HAPI by others again and again`);
}
