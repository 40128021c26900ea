// What a FHIR string may hold (R4 datatypes.html#string). Pure.
/** Controls but tab and line ends, halves of surrogate pairs, and what is no character: neither a FHIR string (R4 datatypes.html#string) nor XML 1.0 (2.2) can hold them. */
const UNPRINTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffe\uffff]|\p{Cs}/gu;

/** A text that may quote what was sent, as a string of R4: each character that cannot stand in one shows as U+FFFD. */
export function asFhirString(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd');
}
