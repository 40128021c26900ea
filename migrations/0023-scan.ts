// What the virus scanner said of each content: its verdict, by which engine and with which signatures.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table content
      -- unscannable: over the scanner's limits; infected: found after it was published; accepted: an administrator took it as it is.
      add column scan_verdict text check (scan_verdict in ('clean', 'unscanned', 'unscannable', 'infected', 'accepted')),
      add column scan_engine text,
      add column scan_signatures text,
      add column scan_finding text,
      add column scanned_at timestamptz(3);
  `);
}
