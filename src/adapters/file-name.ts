// The name that a sender gives a file (RFC 7578 4.2): one segment, without marks that make it look like another.
import { fhirError } from '../fhir/fhir-error.ts';

const CONTROLS = /[\u0000-\u001f\u007f-\u009f]/u;
/** What stands for bytes that are no UTF-8. */
const NO_CHARACTER = /[\ufffd\p{Cs}]/u;
/** They have no width or turn the direction of text. */
const INVISIBLE = /[\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;
const CHARACTERS_MAX = 255;

/** undefined where nothing is left. Raises 400 `malformed-form` for control characters, and for a name that is no UTF-8. */
export function fileNameOf(sent: string | undefined): string | undefined {
  if (sent === undefined) return undefined;
  if (CONTROLS.test(sent) || NO_CHARACTER.test(sent)) throw fhirError('malformed-form', 'The name of a file must be UTF-8 without control characters');
  const name = [...sent.replace(INVISIBLE, '').split(/[/\\]/).at(-1) ?? ''].slice(0, CHARACTERS_MAX).join('').trim();
  return name === '' || name === '.' || name === '..' ? undefined : name;
}
