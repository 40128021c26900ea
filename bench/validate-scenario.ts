// Validation on one core, without a server: a document of usual size from its text to its list of faults, beside JSON.parse alone.
import { parseJson } from '../src/fhir/json.ts';
import type { JsonObject } from '../src/fhir/json.ts';
import { validateResource } from '../src/validation/validate-resource.ts';
import { documentText } from './bench-documents.ts';
import type { Scenario } from './scenario.ts';

const ATTACHMENT = { contentType: 'application/pdf', url: 'https://archive.example.org/note.pdf' };

export function validateScenario(quick: boolean): Scenario {
  let position = 0;
  const texts = Array.from({ length: 100 }, (_, index) => documentText(index, ATTACHMENT));
  const next = (): string => texts[position++ % texts.length] as string;
  return {
    name: 'validate',
    bounds: { clients: 1, seconds: quick ? 1.5 : 5, countMax: 1_000_000 },
    ours: {
      name: 'muniment',
      async work() {
        const [fault] = validateResource(parseJson(next()) as JsonObject, 'DocumentReference');
        if (fault !== undefined) throw new Error(fault.diagnostics);
      },
    },
    yardstick: { name: 'bare', async work() { JSON.parse(next()); } },
  };
}
