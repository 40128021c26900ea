// What a running request tells of how far it is. It is an answer, so it leaves once an access row says that the request was let in
// and is under way; what it comes to has a row of its own.
import type { FhirRequest } from '../interactions/interaction.ts';

type Step = Readonly<Record<string, unknown>>;

/** `record` commits that row; it is called with the first step, and what comes meanwhile waits. Where it fails nothing is told. */
export function recordedProgress(tell: NonNullable<FhirRequest['progress']>, record: () => Promise<void>): NonNullable<FhirRequest['progress']> {
  const waiting: Step[] = [];
  let state: 'silent' | 'recording' | 'recorded' | 'failed' = 'silent';
  const settle = (): void => {
    state = 'recorded';
    for (const step of waiting.splice(0)) tell(step);
  };
  const giveUp = (): void => {
    state = 'failed';
    waiting.length = 0;
  };
  return (step) => {
    if (state === 'recorded') { tell(step); return; }
    if (state === 'failed') return;
    waiting.push(step);
    if (state === 'silent') {
      state = 'recording';
      record().then(settle, giveUp);
    }
  };
}
