// How long a number may be written. R4 asks for 18 digits (http://hl7.org/fhir/R4/datatypes.html#decimal); nobody measures with
// more than these, and programs that calculate with millions of them stand still.

const CHARACTERS_MAX = 100;
const LARGE_EXPONENT = /[eE][+-]?0*[1-9][0-9]{3}/;

/** What is wrong with the text of a number, as a sentence; undefined when it is within bounds. */
export function numberBoundsFault(text: string): string | undefined {
  if (text.length > CHARACTERS_MAX) return `A number has more than ${CHARACTERS_MAX} characters`;
  return LARGE_EXPONENT.test(text) ? 'The exponent of a number has more than three digits' : undefined;
}
