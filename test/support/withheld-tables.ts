// A database that fails what the application asks of it, while the record can still be written.
import type { TestMuniment } from './start-muniment.ts';

/** What a request is recorded with. */
const KEPT = ['access_event', 'access_entity', 'access_shape', 'organisation'];

/** While `work` runs, the application may read no table but that of organisations, and write none but those of the record. */
export async function withoutTables<T>(server: TestMuniment, work: () => Promise<T>): Promise<T> {
  await server.sql(`create table acl_kept as select oid as id, relacl from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> all('{${KEPT.join(',')}}')`);
  await server.sql('update pg_class set relacl = null from acl_kept where oid = id');
  await server.sql('revoke select on access_event, access_entity, access_shape from muniment_app');
  try { return await work(); } finally {
    await server.sql('grant select on access_event, access_entity, access_shape to muniment_app');
    await server.sql('update pg_class c set relacl = k.relacl from acl_kept k where oid = id');
    await server.sql('drop table acl_kept');
  }
}
