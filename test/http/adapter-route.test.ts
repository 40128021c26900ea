// The frame of the ways in beside FHIR: which row a path means, and what stands where there is none.
import { describe, expect, it } from '@jest/globals';
import { aimAdapter, type AdapterGroup, type AdapterRoute } from '../../src/adapters/adapter-route.ts';
import { problemResponse } from '../../src/adapters/problem.ts';
import { FhirError, fhirError, issueOf } from '../../src/fhir/fhir-error.ts';
import { defineInteraction, type FhirRequest, type InteractionContext } from '../../src/interactions/interaction.ts';

const row = (method: AdapterRoute['method'], path: string): AdapterRoute => ({
  method, path, type: 'DocumentReference', access: { interaction: 'read' },
  interaction: defineInteraction({ code: 'read', kind: 'read', run: () => Promise.resolve({ response: { status: 200, headers: {}, body: `${method} ${path}` }, entities: [] }) }),
});
const group: AdapterGroup = {
  prefix: 'things', crossOrigin: false,
  routes: [row('GET', ''), row('POST', ''), row('GET', '[id]'), row('GET', 'bulk'), row('DELETE', '[id]'), row('HEAD', '[id]/state'), row('PATCH', '[id]/state'), row('GET', '[kind]/[id]/image')],
};

async function answered(method: string, segments: string[] | undefined): Promise<{ body: string; parameters: Record<string, string> }> {
  const { passage, parameters } = aimAdapter(group, method, segments);
  const prepared = await passage.interaction.prepare({ request: {} as FhirRequest } as InteractionContext);
  const { response } = await prepared.run(undefined as never);
  return { body: response.body ?? '', parameters };
}

describe('a path below a prefix', () => {
  it.each([
    ['GET', [], 'GET ', {}],
    ['POST', [], 'POST ', {}],
    ['GET', ['7'], 'GET [id]', { id: '7' }],
    ['GET', ['bulk'], 'GET bulk', {}],
    ['HEAD', ['7'], 'GET [id]', { id: '7' }],
    ['HEAD', ['7', 'state'], 'HEAD [id]/state', { id: '7' }],
    ['GET', ['patient', '7', 'image'], 'GET [kind]/[id]/image', { kind: 'patient', id: '7' }],
  ])('%s %j means the row "%s"', async (method, segments, body, parameters) => {
    expect(await answered(method, segments)).toEqual({ body, parameters });
  });

  it.each([
    ['GET', ['7', 'other'], 404, undefined],
    ['GET', undefined, 400, undefined],
    ['PUT', ['7'], 405, 'GET, HEAD, DELETE, OPTIONS'],
    ['GET', ['7', 'state'], 405, 'HEAD, PATCH, OPTIONS'],
    ['DELETE', ['bulk'], 405, 'GET, HEAD, OPTIONS'],
  ])('%s %j is refused by a passage of its own: %d', async (method, segments, status, allow) => {
    const { passage } = aimAdapter(group, method, segments);
    expect(passage.access.refusal).toBe(true);
    await expect(answered(method, segments)).rejects.toMatchObject({ status, headers: allow === undefined ? {} : { Allow: allow } });
  });
});

describe('a problem document', () => {
  it('carries the code of the OperationOutcome, and what the error adds', () => {
    const { status, headers, body } = problemResponse(fhirError('media-type', 'Not taken here', { members: { allowedTypes: ['application/pdf'] }, headers: { 'Retry-After': '2' } }));
    expect(status).toBe(415);
    expect(headers).toEqual({ 'Content-Type': 'application/problem+json', 'Retry-After': '2' });
    expect(JSON.parse(body ?? '')).toEqual({
      type: 'about:blank', title: 'The media type or coding of the body is not supported', status: 415, code: 'media-type', detail: 'Not taken here', allowedTypes: ['application/pdf'],
    });
  });

  it('names the place of each fault', () => {
    const { body } = problemResponse(new FhirError([issueOf('required', 'title is missing', 'title'), issueOf('invalid-value', 'date is none', 'date')]));
    expect((JSON.parse(body ?? '') as { errors: unknown }).errors).toEqual([
      { code: 'required', detail: 'title is missing', expression: 'title' }, { code: 'invalid-value', detail: 'date is none', expression: 'date' },
    ]);
  });
});
