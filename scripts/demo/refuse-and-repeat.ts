// What the server does not do: keep bytes that are other than claimed, or take a repeated request for a second one.
import { randomUUID } from 'node:crypto';
import type { KeptLetter } from './bring-in.ts';
import { jsonOf, type Answer } from './exchange.ts';
import { searchOf } from './find-and-read.ts';
import { documentOf, IDENTIFIERS, inline, jsonBody, uploadOf, writeDocument, type Scene } from './scene.ts';
import { locationOf } from './stage.ts';

interface Outcome {
  resourceType?: string;
  issue?: { details?: { coding?: { code?: string }[] } }[];
}

/** Raises where the refusal is not an OperationOutcome with this code of ours. */
export function checkRefusal({ checks }: Scene, code: string): (answer: Answer) => string {
  return (answer) => {
    const outcome = jsonOf<Outcome>(answer);
    checks.equal('refusal: resourceType', outcome?.resourceType, 'OperationOutcome');
    checks.equal('refusal: code', outcome?.issue?.[0]?.details?.coding?.[0]?.code, code);
    return `refused: ${code}`;
  };
}

export async function refuseWrongClaims(scene: Scene): Promise<void> {
  const { stage, patient, files: { report, letter } } = scene;
  stage.begin('A wrong claim is refused, and leaves nothing');
  await stage.perform({ ...uploadOf(report, letter.sha256), status: 400, check: checkRefusal(scene, 'digest-mismatch') });
  const identifier = randomUUID();
  const attachment = { ...inline(report), hash: letter.sha1.toString('base64') };
  const document = writeDocument(patient, { identifier, title: 'Never kept', category: 'clinical-note', date: '2024-05-09T09:00:00Z', attachments: [attachment] });
  await stage.perform({ method: 'POST', path: 'DocumentReference', label: 'DocumentReference, wrong SHA-1', interaction: 'create', status: 422, check: checkRefusal(scene, 'claim-mismatch'), ...jsonBody(document) });
  await stage.perform(searchOf(scene, `DocumentReference?identifier=${encodeURIComponent(`${IDENTIFIERS}|${identifier}`)}`, 'DocumentReference, by identifier', []));
}

export async function repeatRequest(scene: Scene, letter: KeptLetter): Promise<void> {
  const { stage, checks } = scene;
  stage.begin('The letter is sent again with the same Idempotency-Key: one letter, the same answer');
  await stage.perform({
    ...letter.access(), label: 'DocumentReference, again', touched: () => [letter.reference],
    check(answer) {
      checks.equal('repeated request: Location', locationOf(answer), letter.reference);
      checks.equal('repeated request: answer', answer.head.toString('utf8'), letter.answer.head.toString('utf8'));
      return 'the same answer';
    },
  });
  const value = documentOf(letter.answer).identifier?.[0]?.value ?? '';
  await stage.perform(searchOf(scene, `DocumentReference?identifier=${encodeURIComponent(`${IDENTIFIERS}|${value}`)}`, 'DocumentReference, by identifier', [letter.reference]));
}
