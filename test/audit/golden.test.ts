// Rendering is frozen: rows that are sealed already must read the same for ever. UPDATE_GOLDEN=1 writes the files of new
// samples; what is there already it never rewrites.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { renderAuditEvent } from '../../src/audit/render-audit-event.ts';
import { renderProvenance } from '../../src/audit/render-provenance.ts';
import { sampleEvents } from './sample-events.ts';

const FOLDER = new URL('./golden/', import.meta.url);

function compareWithFile(name: string, text: string): void {
  const file = new URL(name, FOLDER);
  if (process.env['UPDATE_GOLDEN'] === '1' && !existsSync(file)) writeFileSync(file, text);
  expect(existsSync(file)).toBe(true);
  expect(text).toBe(readFileSync(file, 'utf8'));
}

describe('a row of the record', () => {
  test.each(Object.entries(sampleEvents()))('renders %s as its golden file says, member for member', (name, event) => {
    const rendered = { event, auditEvent: renderAuditEvent(event), provenance: renderProvenance(event) };
    compareWithFile(`${name}.json`, `${JSON.stringify(rendered, undefined, 2)}\n`);
  });

  test('has no golden file without its sample', () => {
    expect(readdirSync(FOLDER).sort()).toEqual(Object.keys(sampleEvents()).map((name) => `${name}.json`).sort());
  });
});
