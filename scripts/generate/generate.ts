// npm run generate: writes the source files that are compiled from the R4 definitions, the resource compiled from the table of errors, and the page of the search parameters.
import { writeFileSync } from 'node:fs';
import { errorCodeSystemText } from './error-code-system.ts';
import { passedParametersText } from './passed-parameters.ts';
import { printSearchPage } from './search-page.ts';
import { structureTablesText } from './structure-tables.ts';

const GENERATED = [
  { path: 'src/fhir/structure-tables.ts', text: structureTablesText },
  { path: 'profiles/CodeSystem-error.json', text: errorCodeSystemText },
  { path: 'src/search/passed-parameters.ts', text: passedParametersText },
  { path: 'docs/search.md', text: printSearchPage },
];

for (const { path, text } of GENERATED) {
  writeFileSync(new URL(`../../${path}`, import.meta.url), text());
  console.log(`${path} written`);
}
