// What tests of this folder look for again and again, in FHIR's words.
import { expect } from '@jest/globals';
import type { Answer } from '../support/fhir-client.ts';

export const FJ = 'application/fhir+json';
export const FX = 'application/fhir+xml';

/* eslint-disable @typescript-eslint/no-explicit-any -- tests look into answers of any shape */

/** A failed expectation says what the server said. */
const shown = (answer: Answer): string => `${answer.status} ${answer.text.slice(0, 600)}`;

/** A refusal as every refusal is: this status and a valid OperationOutcome in JSON with an error, one of them of this code. */
export function expectOutcome(answer: Answer, status: number, code?: string): void {
  expect(shown(answer)).toMatch(new RegExp(`^${status} `));
  expect(answer.headers.get('content-type')).toMatch(/^application\/fhir\+json/);
  expect(answer.json?.resourceType).toBe('OperationOutcome');
  const issues: any[] = answer.json.issue;
  expect(issues.length).toBeGreaterThan(0);
  expect(issues.some((issue) => ['error', 'fatal'].includes(issue.severity))).toBe(true);
  for (const issue of issues) expect(issue.diagnostics ?? issue.details?.text).toBeTruthy();
  if (code !== undefined) expect(issues.map((issue) => issue.code)).toContain(code);
}

/** Status of a success, with what the server said when it is none. */
export function expectStatus(answer: Answer, ...wanted: number[]): void {
  expect(shown(answer)).toMatch(new RegExp(`^(${wanted.join('|')}) `));
}

/** Ids of the matches of a searchset, in order. */
export function matches(answer: Answer): string[] {
  expectStatus(answer, 200);
  expect(answer.json.resourceType).toBe('Bundle');
  return (answer.json.entry ?? []).filter((entry: any) => entry.search?.mode === 'match').map((entry: any) => entry.resource.id);
}

export const entriesOf = (answer: Answer, mode: string): any[] => (answer.json.entry ?? []).filter((entry: any) => entry.search?.mode === mode);

export const linkOf = (answer: Answer, relation: string): string | undefined => (answer.json.link ?? []).find((link: any) => link.relation === relation)?.url;

/** All matches of all pages, following next links. */
export async function allPages(get: (path: string) => Promise<Answer>, path: string, pagesMax = 60): Promise<{ ids: string[]; pages: Answer[] }> {
  const pages: Answer[] = [];
  for (let at: string | undefined = path; at !== undefined && pages.length < pagesMax; at = linkOf(pages.at(-1) as Answer, 'next')) pages.push(await get(at));
  return { ids: pages.flatMap(matches), pages };
}
