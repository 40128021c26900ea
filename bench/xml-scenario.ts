// Both formats on one core, without a server: a page of 20 documents from its JSON text to XML, beside JSON there and back.
import { parseJson } from '../src/fhir/json.ts';
import type { JsonObject } from '../src/fhir/json.ts';
import { printXml } from '../src/fhir/print-xml.ts';
import { documentText } from './bench-documents.ts';
import type { Scenario } from './scenario.ts';

const ENTRIES = 20;
const ATTACHMENT = { contentType: 'application/pdf', url: 'https://archive.example.org/note.pdf' };

function searchsetText(first: number): string {
  const entries = Array.from({ length: ENTRIES }, (_, at) => `{"fullUrl":"https://example.org/fhir/DocumentReference/${first + at}","resource":${documentText(first + at, ATTACHMENT)},"search":{"mode":"match"}}`);
  return `{"resourceType":"Bundle","type":"searchset","total":${ENTRIES},"entry":[${entries.join(',')}]}`;
}

export function xmlScenario(quick: boolean): Scenario {
  let position = 0;
  const texts = Array.from({ length: 50 }, (_, index) => searchsetText(index * ENTRIES));
  const next = (): string => texts[position++ % texts.length] as string;
  return {
    name: 'xml',
    bounds: { clients: 1, seconds: quick ? 1.5 : 5, countMax: 100_000 },
    ours: {
      name: 'muniment',
      async work() {
        if (!printXml(parseJson(next()) as JsonObject).startsWith('<Bundle')) throw new Error('not the XML of a Bundle');
      },
    },
    yardstick: { name: 'bare', async work() { JSON.stringify(JSON.parse(next())); } },
  };
}
