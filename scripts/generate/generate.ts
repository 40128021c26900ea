// npm run generate: writes the source files that are compiled from the R4 definitions.
import { writeFileSync } from 'node:fs';
import { passedParametersText } from './passed-parameters.ts';
import { structureTablesText } from './structure-tables.ts';

const GENERATED = [
  { path: 'src/fhir/structure-tables.ts', text: structureTablesText },
  { path: 'src/search/passed-parameters.ts', text: passedParametersText },
];

for (const { path, text } of GENERATED) {
  writeFileSync(new URL(`../../${path}`, import.meta.url), text());
  console.log(`${path} written`);
}
