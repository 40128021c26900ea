// A group of ways in beside FHIR: from path to row, through the gate, to the answer or a problem document.
import type { NextFunction, Request, Response } from 'express';
import { aimAdapter, type AdapterGroup } from '../adapters/adapter-route.ts';
import { problemResponse } from '../adapters/problem.ts';
import type { FhirResponse } from '../interactions/interaction.ts';
import { crossOrigin } from './cross-origin.ts';
import { acceptsEvents } from './event-stream.ts';
import { presentAnswer } from './present.ts';
import { headerOf, requestIdOf } from './request-headers.ts';
import { queryOf, segmentsOf, splitUrl } from './request-url.ts';
import { serveAccess, type AccessParts } from './serve-access.ts';
import { wishOf } from './wish.ts';

/** Mounted below the prefix: `request.url` begins after it. */
export function adapterEntry(parts: AccessParts, group: AdapterGroup): (request: Request, response: Response, next: NextFunction) => void {
  return (request, response, next) => {
    if (group.crossOrigin && crossOrigin(request, response, group.options)) return;
    const requestId = requestIdOf(request);
    const [path, search] = splitUrl(request.url);
    const query = queryOf(search);
    const { passage, tellsProgress, declared, ...aimed } = aimAdapter(group, request.method, query === undefined ? undefined : segmentsOf(path));
    const { gzip } = wishOf({ url: '', header: (name) => headerOf(request, name) });
    const events = tellsProgress === true && acceptsEvents(headerOf(request, 'accept'));
    const wish = { format: undefined, pretty: false, gzip: gzip && !events };
    const watch = (answer: FhirResponse): FhirResponse => {
      // The document of the API would be wrong.
      if (declared?.has(answer.status) === false) parts.logger.error({ requestId, method: request.method, prefix: group.prefix, status: answer.status }, 'an answer has a status that its row does not declare');
      return answer;
    };
    serveAccess(parts, request, response, {
      passage,
      events,
      asked: { ...aimed, requestId, url: group.secretPath === true ? group.prefix : `${group.prefix}${request.url.replace(/^\/(?=\?|$)/, '')}`, query: query ?? [], id: '', version: '' },
      ...(group.headers === undefined ? {} : { headers: group.headers }),
      present: (answer) => presentAnswer(watch(answer), wish),
      refused: (error) => presentAnswer(watch(problemResponse(error)), wish),
    }).catch(next);
  };
}
