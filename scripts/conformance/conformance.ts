// Prints the table of conformance; with --write it becomes docs/conformance.md.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { printTable } from '../../test/conformance/print-table.ts';

const text = printTable();
if (process.argv.includes('--write')) writeFileSync(join(import.meta.dirname, '..', '..', 'docs', 'conformance.md'), text);
else process.stdout.write(text);
