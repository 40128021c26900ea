// Everything below /fhir: from path to row of the table, through the gate, to the answer. What is not in the table
// passes the gate as well, because a refusal is an answer and is recorded.
import type { NextFunction, Request, Response } from 'express';
import { aim } from './aim.ts';
import { errorResponse } from './error-response.ts';
import type { Route } from './match-route.ts';
import { presentAnswer } from './present.ts';
import { headerOf, requestIdOf } from './request-headers.ts';
import { serveAccess, type AccessParts } from './serve-access.ts';
import { wishOf, wishOfForm } from './wish.ts';

export function fhirEntry(parts: AccessParts & { routes: readonly Route[] }): (request: Request, response: Response, next: NextFunction) => void {
  return (request, response, next) => {
    const requestId = requestIdOf(request);
    const asked = { method: request.method, url: request.url, header: (name: string) => headerOf(request, name) };
    const wish = wishOf(asked);
    const { passage, ...aimed } = aim(parts.routes, asked);
    serveAccess(parts, request, response, {
      passage,
      asked: { ...aimed, requestId, url: request.url.replace(/^\//, '') },
      present: (answer, { form }) => presentAnswer(answer, form === undefined ? wish : wishOfForm(wish, form)),
      refused: (error) => presentAnswer(errorResponse(error), wish),
    }).catch(next);
  };
}
