// Proofs of possession (RFC 9449) that were used, known to all servers of the database. Unlogged: they are good for a minute, and
// to write them costs no fsync.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create unlogged table used_proof (
      -- SHA-256 of the key's thumbprint and the proof's jti.
      digest bytea primary key check (octet_length(digest) = 32),
      until timestamptz(3) not null
    );
    grant select, insert, delete on used_proof to muniment_app;
  `);
}
