// In which form an accounting of disclosures is wished: FHIR, or for people a table, a page or a document to print.
export type DisclosureForm = 'csv' | 'html' | 'pdf';

const TYPES: Readonly<Record<string, DisclosureForm>> = { 'text/csv': 'csv', 'text/html': 'html', 'application/pdf': 'pdf' };
const NAMES: Readonly<Record<string, DisclosureForm>> = { csv: 'csv', html: 'html', pdf: 'pdf', ...TYPES };

/** `_format` decides before Accept, where one of them must come before what FHIR offers; undefined for FHIR. */
export function disclosureForm(query: Iterable<readonly [string, string]>, accept: string | undefined): DisclosureForm | undefined {
  const format = [...query].find(([name]) => name === '_format')?.[1];
  if (format !== undefined) return NAMES[(format.split(';')[0] ?? '').trim()];
  const [first = ''] = (accept ?? '').split(',');
  const [type = '', ...parameters] = first.split(';').map((part) => part.trim().toLowerCase());
  return parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) ? undefined : TYPES[type];
}
