-- What all migrations make of an empty database. Written by the test beside it with UPDATE_SCHEMA=1.

-- columns
access_entity.org integer not null
access_entity.reference text collate "C" not null
access_entity.role smallint not null
access_entity.event uuid not null
access_event.org integer not null
access_event.id uuid not null
access_event.recorded timestamp(3) with time zone not null
access_event.layout smallint not null
access_event.parts text not null
access_event.action text collate "C" not null
access_event.outcome smallint not null
access_event.request_id text collate "C" not null
access_event.agent_user text collate "C"
access_event.agent_subject text collate "C"
access_event.agent_client text collate "C"
access_event.write boolean not null default false
access_event.subtype text collate "C" not null
access_event.written_in xid8 not null default pg_current_xact_id()
access_event.shape bigint not null default 0
access_grant.org integer not null
access_grant.id uuid not null
access_grant.owner text collate "C" not null
access_grant.principal text not null
access_grant.type smallint not null
access_grant.resource text collate "C" not null
access_grant.method text not null
access_grant.created_at timestamp(3) with time zone not null
access_grant.expires_at timestamp(3) with time zone not null
access_grant.revoked_at timestamp(3) with time zone
access_grant.allowed_ip text[] not null default '{}'::text[]
access_grant.disposition text
access_grant.uses_max integer
access_grant.used integer not null default 0
access_grant.content_type text
access_grant.size bigint
access_grant.sha256 bytea
access_grant.thumbnails boolean not null default false
access_grant.direct boolean not null default false
access_shape.org integer not null
access_shape.id bigint not null
access_shape.text text not null
alias_sequence.org integer not null
alias_sequence.kind text collate "C" not null
alias_sequence.last bigint not null
attachment_use.org integer not null
attachment_use.binary text collate "C" not null
attachment_use.type smallint not null
attachment_use.id text collate "C" not null
attachment_use.version integer not null
break_glass.org integer not null
break_glass.id uuid not null
break_glass.declared_at timestamp(3) with time zone not null
break_glass.expires_at timestamp(3) with time zone not null
break_glass.issuer text not null
break_glass.subject text not null
break_glass.client text not null
break_glass.fhir_user text not null
break_glass.patient text collate "C" not null
break_glass.reason text not null
break_glass.reviewed_at timestamp(3) with time zone
break_glass.reviewed_by text
break_glass.review_note text
content.org integer not null
content.id uuid not null
content.state text not null
content.store text not null
content.key text not null
content.store_version text
content.size bigint
content.sha256 bytea
content.sha1 bytea
content.chunk_bytes integer not null
content.chunk_digests bytea
content.declared_type text
content.sniffed_type text
content.creator text
content.created_at timestamp(3) with time zone not null default now()
content.published_at timestamp(3) with time zone
content.verified_at timestamp(3) with time zone
content.quarantine_reason text
content.scrubbed_at timestamp(3) with time zone
content.scrub_lease uuid
content.scrub_until timestamp with time zone
content.replica_key text
content.scan_verdict text
content.scan_engine text
content.scan_signatures text
content.scan_finding text
content.scanned_at timestamp(3) with time zone
content.purge uuid
content.replicated_at timestamp(3) with time zone
content.replica_until timestamp(3) with time zone
content_use.org integer not null
content_use.bytes bigint not null
content_use.count bigint not null
file_event.org integer not null
file_event.events text[] not null
file_event.at timestamp(3) with time zone not null default now()
file_event.content uuid
file_event.binary text collate "C"
file_event.type smallint
file_event.id text collate "C"
file_event.version integer
file_event.written_in xid8 not null default pg_current_xact_id()
file_event.seq bigint not null generated always as identity
file_handle.org integer not null
file_handle.creator text collate "C" not null
file_handle.name text collate "C" not null
file_handle.binary text collate "C" not null
file_handle.created_at timestamp(3) with time zone not null
idempotency.org integer not null
idempotency.client text collate "C" not null
idempotency.key text collate "C" not null
idempotency.fingerprint bytea
idempotency.state text not null
idempotency.lease uuid not null
idempotency.lease_until timestamp with time zone not null
idempotency.status integer
idempotency.type smallint
idempotency.id text collate "C"
idempotency.version integer
idempotency.created_at timestamp(3) with time zone not null default now()
idempotency.answer text
legal_hold.org integer not null
legal_hold.id uuid not null
legal_hold.target text collate "C" not null
legal_hold.reason text not null
legal_hold.placed_at timestamp(3) with time zone not null
legal_hold.placed_by text not null
legal_hold.lifted_at timestamp(3) with time zone
legal_hold.lifted_by text
legal_hold.lift_reason text
log_checkpoint.size bigint not null
log_checkpoint.note text not null
log_checkpoint.sealed_at timestamp(3) with time zone not null default now()
log_key.ordinal integer not null
log_key.verifier text not null
log_key.statement text
log_key.introduced_at timestamp(3) with time zone not null default now()
log_leaf.index bigint not null
log_leaf.org integer not null
log_leaf.event uuid not null
log_leaf.type smallint
log_leaf.id text collate "C"
log_leaf.version integer
log_leaf.hash bytea not null
log_removal.size bigint not null
log_removal.statement text not null
log_removal.org integer not null
log_removal.event uuid not null
log_removal.recorded_at timestamp(3) with time zone not null default now()
log_state.single boolean not null default true
log_state.origin text not null
log_state.size bigint not null default 0
log_state.peaks bytea not null default '\x'::bytea
log_state.written_in xid8 not null default '0'::xid8
log_state.event uuid not null default '00000000-0000-0000-0000-000000000000'::uuid
log_subtree.height smallint not null
log_subtree.position bigint not null
log_subtree.root bytea not null
medical_record.org integer not null
medical_record.id bigint not null
medical_record.document text collate "C" not null
medical_record.appointment_id text collate "C" not null
medical_record.template_id text collate "C"
medical_record.patient_id text collate "C"
medical_record.drawing_data jsonb not null default '{}'::jsonb
medical_record.form_data jsonb not null default '{}'::jsonb
medical_record.revision integer not null default 1
medical_record.finalised_at timestamp(3) with time zone
medical_record.created_by_user_id text collate "C" not null
medical_record.updated_by_user_id text collate "C"
medical_record.created_at timestamp(3) with time zone not null
medical_record.updated_at timestamp(3) with time zone not null
medical_record_file.org integer not null
medical_record_file.medical_record_id bigint not null
medical_record_file.patient_file_id bigint not null
medical_record_file.file_role text collate "C" not null
medical_record_file.created_at timestamp(3) with time zone not null
migration.id integer not null default nextval('migration_id_seq'::regclass)
migration.name character varying(255)
migration.batch integer
migration.migration_time timestamp with time zone
migration_lock.index integer not null default nextval('migration_lock_index_seq'::regclass)
migration_lock.is_locked integer
mirror_access.org integer not null
mirror_access.written_in xid8 not null default '0'::xid8
mirror_access.event uuid not null default '00000000-0000-0000-0000-000000000000'::uuid
mirror_access.next_at timestamp with time zone not null default now()
mirror_access.lease uuid
mirror_access.attempts integer not null default 0
mirror_access.refusals integer not null default 0
mirror_access.last_error text
mirror_access_refused.org integer not null
mirror_access_refused.event uuid not null
mirror_access_refused.reason text not null
mirror_access_refused.refused_at timestamp(3) with time zone not null default now()
mirror_drift.org integer not null
mirror_drift.type smallint not null
mirror_drift.id text collate "C" not null
mirror_drift.kind text collate "C" not null
mirror_drift.path text
mirror_drift.detail text not null
mirror_drift.found_at timestamp(3) with time zone not null default now()
mirror_drift.seen_at timestamp(3) with time zone not null default now()
mirror_head.org integer not null
mirror_head.type smallint not null
mirror_head.id text collate "C" not null
mirror_head.lane smallint not null
mirror_head.shard smallint not null
mirror_head.state text collate "C" not null default 'waiting'::text
mirror_head.next_at timestamp with time zone
mirror_head.lease uuid
mirror_head.attempts integer not null default 0
mirror_head.refusals integer not null default 0
mirror_head.delivered_version integer not null default 0
mirror_head.hapi_version text
mirror_head.last_error text
mirror_head.parked_at timestamp(3) with time zone
mirror_head.delivered_at timestamp(3) with time zone
mirror_pause.org integer not null
mirror_pause.reason text not null
mirror_pause.since timestamp(3) with time zone not null default now()
mirror_run.org integer not null
mirror_run.kind text collate "C" not null
mirror_run.started_at timestamp(3) with time zone not null default now()
mirror_run.progress jsonb not null
mirror_run.updated_at timestamp(3) with time zone not null default now()
mirror_run.ended_at timestamp(3) with time zone
mirror_run.report text
mirror_skip.org integer not null
mirror_skip.type smallint not null
mirror_skip.id text collate "C" not null
mirror_skip.version integer not null
mirror_skip.event uuid not null
mirror_skip.reason text not null
mirror_skip.last_error text
mirror_skip.skipped_at timestamp(3) with time zone not null default now()
organisation.id integer not null generated always as identity
organisation.name text collate "C" not null
organisation.created_at timestamp(3) with time zone not null default now()
organisation.title text
organisation.disabled_at timestamp(3) with time zone
organisation.require_if_match boolean not null default false
organisation.revision integer not null default 1
organisation.allowed_types text[] not null default '{clinical}'::text[]
organisation.quota_bytes bigint
organisation.quota_count bigint
organisation.issuers text[]
organisation.allowed_types_of jsonb not null default '{}'::jsonb
organisation.retention text not null default 'uk'::text
organisation.direct_urls boolean not null default false
outbox.org integer not null
outbox.seq bigint not null generated always as identity
outbox.type smallint not null
outbox.id text collate "C" not null
outbox.version integer not null
outbox.event uuid not null
outbox.lane smallint not null default 1
outbox.created_at timestamp(3) with time zone not null default now()
outbox.taken boolean not null default false
outbox.photo text
patient_file.org integer not null
patient_file.id bigint not null
patient_file.document text collate "C" not null
patient_file.binary text collate "C" not null
patient_file.patient_id text collate "C" not null
patient_file.file_name text not null
patient_file.file_type text not null
patient_file.file_size bigint not null
patient_file.uploaded_by_user_id text collate "C" not null
patient_file.created_at timestamp(3) with time zone not null
policy_rule.org integer not null
policy_rule.version integer not null
policy_rule.role text collate "C" not null
policy_rule.category text collate "C" not null
policy_rule.action text collate "C" not null
policy_rule.effect text collate "C" not null
policy_version.org integer not null
policy_version.version integer not null
policy_version.changed_at timestamp(3) with time zone not null
policy_version.changed_by text not null
policy_version.changed_by_user text
policy_version.reason text not null
purge.org integer not null
purge.id uuid not null
purge.type smallint not null
purge.resource text collate "C" not null
purge.state text not null
purge.reason text not null
purge.requested_at timestamp(3) with time zone not null
purge.requested_by text not null
purge.decided_at timestamp(3) with time zone
purge.decided_by text
purge.decision text
purge.class text
purge.retained_until timestamp(3) with time zone
purge.done_at timestamp(3) with time zone
purge.certificate text
purged_version.org integer not null
purged_version.type smallint not null
purged_version.id text collate "C" not null
purged_version.version integer not null
purged_version.purge uuid not null
purged_version.sha256 bytea
record_forward.target text not null
record_forward.position bigint not null default 0
record_forward.holder uuid
record_forward.lease_until timestamp with time zone not null default '-infinity'::timestamp with time zone
record_forward.forwarded_at timestamp(3) with time zone
rendition.org integer not null
rendition.source uuid not null
rendition.binary text collate "C" not null
rendition.edge smallint not null
rendition.state text not null
rendition.due_at timestamp with time zone
rendition.lease uuid
rendition.attempts integer not null default 0
rendition.content uuid
rendition.width integer
rendition.height integer
rendition.failure text
rendition.created_at timestamp(3) with time zone not null default now()
replaced_image.org integer not null
replaced_image.binary text collate "C" not null
replaced_image.remove_at timestamp with time zone not null
resource.org integer not null
resource.type smallint not null
resource.id text collate "C" not null
resource.version integer not null
resource.last_updated timestamp(3) with time zone not null
resource.deleted boolean not null default false
resource.method text not null
resource.body text
resource.content uuid
resource.creator text
resource.patient text collate "C"
resource.status text collate "C"
resource.date_lo timestamp(3) with time zone not null default '-infinity'::timestamp with time zone
resource.date_hi timestamp(3) with time zone
resource.master_identifier text collate "C"
resource.present bigint
resource.words text collate "C"
resource.retention text collate "C"
resource.last_activity timestamp(3) with time zone default GREATEST(last_updated,
CASE
    WHEN isfinite(date_hi) THEN date_hi
    ELSE NULL::timestamp with time zone
END)
resource_history.org integer not null
resource_history.type smallint not null
resource_history.id text collate "C" not null
resource_history.version integer not null
resource_history.last_updated timestamp(3) with time zone not null
resource_history.deleted boolean not null default false
resource_history.method text not null
resource_history.body text
resource_history.content uuid
resource_history.creator text
resource_history.patient text collate "C"
retention_told.org integer not null
retention_told.retention text collate "C" not null
retention_told.until timestamp(3) with time zone not null
search_composite.org integer not null
search_composite.type smallint not null
search_composite.param smallint not null
search_composite.hash bigint not null
search_composite.last_updated timestamp(3) with time zone not null
search_composite.id text collate "C" not null
search_date.org integer not null
search_date.type smallint not null
search_date.param smallint not null
search_date.lo timestamp(3) with time zone not null
search_date.hi timestamp(3) with time zone not null
search_date.last_updated timestamp(3) with time zone not null
search_date.id text collate "C" not null
search_reference.org integer not null
search_reference.type smallint not null
search_reference.param smallint not null
search_reference.hash bigint not null
search_reference.last_updated timestamp(3) with time zone not null
search_reference.id text collate "C" not null
search_reindex.type smallint not null
search_reindex.fingerprint text collate "C" not null
search_reindex.parameters integer[] not null
search_reindex.started_at timestamp(3) with time zone not null default now()
search_reindex.finished_at timestamp(3) with time zone
search_reindex.done bigint not null default 0
search_reindex.cursor_org integer not null default 0
search_reindex.cursor_id text collate "C" not null default ''::text
search_reindex.lease uuid
search_reindex.leased_until timestamp with time zone
search_string.org integer not null
search_string.type smallint not null
search_string.param smallint not null
search_string.norm text collate "C" not null
search_string.last_updated timestamp(3) with time zone not null
search_string.id text collate "C" not null
search_token.org integer not null
search_token.type smallint not null
search_token.param smallint not null
search_token.hash bigint not null
search_token.last_updated timestamp(3) with time zone not null
search_token.id text collate "C" not null
search_uri.org integer not null
search_uri.type smallint not null
search_uri.param smallint not null
search_uri.value text collate "C" not null
search_uri.last_updated timestamp(3) with time zone not null
search_uri.id text collate "C" not null
server_fact.name text not null
server_fact.value text not null
server_secret.name text not null
server_secret.value bytea not null
server_secret.created_at timestamp(3) with time zone not null default now()
store_epoch.store text collate "C" not null
store_epoch.current uuid not null
store_epoch.next uuid
store_epoch.renewed_at timestamp(3) with time zone not null default now()
store_epoch.halted_at timestamp(3) with time zone
store_inventory.store text collate "C" not null
store_inventory.after_key text collate "C" not null default ''::text
store_inventory.started_at timestamp(3) with time zone not null default now()
store_inventory.finished_at timestamp(3) with time zone
store_inventory.lease uuid
store_inventory.leased_until timestamp with time zone
stray_object.store text collate "C" not null
stray_object.key text collate "C" not null
stray_object.size bigint not null
stray_object.first_seen timestamp(3) with time zone not null default now()
stray_object.last_seen timestamp(3) with time zone not null default now()
stray_object.quarantined boolean not null default false
upload.org integer not null
upload.id uuid not null
upload.creator text not null
upload.length bigint not null
upload.received bigint not null default 0
upload.metadata text
upload.created_at timestamp(3) with time zone not null default now()
upload.expires_at timestamp(3) with time zone not null
upload.ended boolean not null default false
upload.result text
upload_part.org integer not null
upload_part.upload uuid not null
upload_part.start bigint not null
upload_part.size integer not null
upload_part.sha256 bytea not null
upload_part.content uuid not null
upload_part.key text not null
upload_part.store_version text
used_proof.digest bytea not null
used_proof.until timestamp(3) with time zone not null

-- constraints
access_entity access_entity_pkey PRIMARY KEY (org, reference, event, role)
access_event access_event_action_check CHECK (action = ANY (ARRAY['C'::text, 'R'::text, 'U'::text, 'D'::text, 'E'::text]))
access_event access_event_outcome_check CHECK (outcome = ANY (ARRAY[0, 4, 8, 12]))
access_event access_event_pkey PRIMARY KEY (org, id)
access_grant access_grant_check CHECK (uses_max IS NULL OR used <= uses_max)
access_grant access_grant_disposition_check CHECK (disposition = ANY (ARRAY['inline'::text, 'attachment'::text]))
access_grant access_grant_method_check CHECK (method = ANY (ARRAY['GET'::text, 'PUT'::text]))
access_grant access_grant_pkey PRIMARY KEY (org, id)
access_grant access_grant_sha256_check CHECK (octet_length(sha256) = 32)
access_grant access_grant_size_check CHECK (size >= 0)
access_grant access_grant_uses_max_check CHECK (uses_max > 0)
access_shape access_shape_number CHECK (id <> 0 AND id = (('x'::text || encode(SUBSTRING(sha256(convert_to(text, 'UTF8'::name)) FROM 1 FOR 8), 'hex'::text)))::bit(64)::bigint)
access_shape access_shape_pkey PRIMARY KEY (org, id)
alias_sequence alias_sequence_pkey PRIMARY KEY (org, kind)
attachment_use attachment_use_pkey PRIMARY KEY (org, "binary", type, id, version)
break_glass break_glass_pkey PRIMARY KEY (org, id)
content content_check CHECK (state = 'staging'::text OR (state = ANY (ARRAY['condemned'::text, 'gone'::text])) OR size IS NOT NULL AND sha256 IS NOT NULL AND sha1 IS NOT NULL AND chunk_digests IS NOT NULL AND published_at IS NOT NULL)
content content_pkey PRIMARY KEY (org, id)
content content_scan_verdict_check CHECK (scan_verdict = ANY (ARRAY['clean'::text, 'unscanned'::text, 'unscannable'::text, 'infected'::text, 'accepted'::text]))
content content_sha1_check CHECK (octet_length(sha1) = 20)
content content_sha256_check CHECK (octet_length(sha256) = 32)
content content_state_check CHECK (state = ANY (ARRAY['staging'::text, 'live'::text, 'quarantined'::text, 'condemned'::text, 'gone'::text]))
content_use content_use_pkey PRIMARY KEY (org)
file_event file_event_pkey PRIMARY KEY (org, written_in, seq)
file_handle file_handle_pkey PRIMARY KEY (org, creator, name, "binary")
idempotency idempotency_pkey PRIMARY KEY (org, client, key)
idempotency idempotency_state_check CHECK (state = ANY (ARRAY['running'::text, 'done'::text]))
legal_hold legal_hold_pkey PRIMARY KEY (org, id)
log_checkpoint log_checkpoint_pkey PRIMARY KEY (size)
log_key log_key_check CHECK ((ordinal = 1) = (statement IS NULL))
log_key log_key_pkey PRIMARY KEY (ordinal)
log_key log_key_verifier_key UNIQUE (verifier)
log_leaf log_leaf_check CHECK ((type IS NULL) = (version IS NULL) AND (id IS NULL) = (version IS NULL))
log_leaf log_leaf_hash_check CHECK (octet_length(hash) = 32)
log_leaf log_leaf_index_check CHECK (index >= 0)
log_leaf log_leaf_pkey PRIMARY KEY (index)
log_removal log_removal_pkey PRIMARY KEY (size)
log_state log_state_pkey PRIMARY KEY (single)
log_state log_state_single_check CHECK (single)
log_subtree log_subtree_pkey PRIMARY KEY (height, "position")
log_subtree log_subtree_root_check CHECK (octet_length(root) = 32)
medical_record medical_record_pkey PRIMARY KEY (org, id)
medical_record_file medical_record_file_file_role_check CHECK (file_role = ANY (ARRAY['background'::text, 'attachment'::text, 'export'::text]))
medical_record_file medical_record_file_org_medical_record_id_fkey FOREIGN KEY (org, medical_record_id) REFERENCES medical_record(org, id) ON DELETE RESTRICT
medical_record_file medical_record_file_org_patient_file_id_fkey FOREIGN KEY (org, patient_file_id) REFERENCES patient_file(org, id) ON DELETE RESTRICT
medical_record_file medical_record_file_pkey PRIMARY KEY (org, medical_record_id, patient_file_id, file_role)
migration migration_pkey PRIMARY KEY (id)
migration_lock migration_lock_pkey PRIMARY KEY (index)
mirror_access mirror_access_pkey PRIMARY KEY (org)
mirror_access_refused mirror_access_refused_pkey PRIMARY KEY (org, event)
mirror_drift mirror_drift_kind_check CHECK (kind = ANY (ARRAY['missing'::text, 'extra'::text, 'stale'::text, 'different'::text]))
mirror_drift mirror_drift_pkey PRIMARY KEY (org, type, id)
mirror_head mirror_head_pkey PRIMARY KEY (org, type, id)
mirror_head mirror_head_state_check CHECK (state = ANY (ARRAY['waiting'::text, 'parked'::text]))
mirror_pause mirror_pause_pkey PRIMARY KEY (org)
mirror_run mirror_run_kind_check CHECK (kind = ANY (ARRAY['reconcile'::text, 'light'::text, 'backfill'::text]))
mirror_run mirror_run_pkey PRIMARY KEY (org, kind, started_at)
mirror_skip mirror_skip_pkey PRIMARY KEY (org, type, id, version, skipped_at)
organisation organisation_allowed_types_check CHECK (cardinality(allowed_types) > 0)
organisation organisation_allowed_types_of_check CHECK (jsonb_typeof(allowed_types_of) = 'object'::text)
organisation organisation_issuers_check CHECK (cardinality(issuers) > 0)
organisation organisation_name_key UNIQUE (name)
organisation organisation_pkey PRIMARY KEY (id)
organisation organisation_quota_bytes_check CHECK (quota_bytes >= 0)
organisation organisation_quota_count_check CHECK (quota_count >= 0)
outbox outbox_pkey PRIMARY KEY (org, seq)
patient_file patient_file_pkey PRIMARY KEY (org, id)
policy_rule policy_rule_effect_check CHECK (effect = ANY (ARRAY['permit'::text, 'deny'::text]))
policy_rule policy_rule_org_version_fkey FOREIGN KEY (org, version) REFERENCES policy_version(org, version)
policy_rule policy_rule_pkey PRIMARY KEY (org, version, role, category, action, effect)
policy_version policy_version_pkey PRIMARY KEY (org, version)
policy_version policy_version_version_check CHECK (version > 0)
purge purge_check CHECK (decided_by IS DISTINCT FROM requested_by OR state = 'withdrawn'::text)
purge purge_pkey PRIMARY KEY (org, id)
purge purge_state_check CHECK (state = ANY (ARRAY['requested'::text, 'withdrawn'::text, 'approved'::text, 'done'::text]))
purged_version purged_version_pkey PRIMARY KEY (org, type, id, version)
purged_version purged_version_sha256_check CHECK (octet_length(sha256) = 32)
record_forward record_forward_pkey PRIMARY KEY (target)
rendition rendition_check CHECK (state <> 'made'::text OR content IS NOT NULL)
rendition rendition_check1 CHECK (state <> 'failed'::text OR failure IS NOT NULL)
rendition rendition_pkey PRIMARY KEY (org, source, edge)
rendition rendition_state_check CHECK (state = ANY (ARRAY['waiting'::text, 'made'::text, 'failed'::text]))
replaced_image replaced_image_pkey PRIMARY KEY (org, "binary")
resource resource_method_check CHECK (method = ANY (ARRAY['POST'::text, 'PUT'::text, 'PATCH'::text, 'DELETE'::text]))
resource resource_pkey PRIMARY KEY (org, type, id)
resource_history resource_history_method_check CHECK (method = ANY (ARRAY['POST'::text, 'PUT'::text, 'PATCH'::text, 'DELETE'::text]))
resource_history resource_history_pkey PRIMARY KEY (org, type, id, version)
retention_told retention_told_pkey PRIMARY KEY (org, retention)
search_composite search_composite_pkey PRIMARY KEY (org, type, param, hash, last_updated, id)
search_date search_date_pkey PRIMARY KEY (org, type, param, lo, hi, last_updated, id)
search_reference search_reference_pkey PRIMARY KEY (org, type, param, hash, last_updated, id)
search_reindex search_reindex_pkey PRIMARY KEY (type, fingerprint)
search_string search_string_pkey PRIMARY KEY (org, type, param, norm, last_updated, id)
search_token search_token_pkey PRIMARY KEY (org, type, param, hash, last_updated, id)
search_uri search_uri_pkey PRIMARY KEY (org, type, param, value, last_updated, id)
server_fact server_fact_pkey PRIMARY KEY (name)
server_secret server_secret_pkey PRIMARY KEY (name)
store_epoch store_epoch_pkey PRIMARY KEY (store)
store_inventory store_inventory_pkey PRIMARY KEY (store)
stray_object stray_object_pkey PRIMARY KEY (store, key)
upload upload_check CHECK (received >= 0 AND received <= length)
upload upload_length_check CHECK (length >= 0)
upload upload_pkey PRIMARY KEY (org, id)
upload_part upload_part_pkey PRIMARY KEY (org, upload, start)
upload_part upload_part_sha256_check CHECK (octet_length(sha256) = 32)
used_proof used_proof_digest_check CHECK (octet_length(digest) = 32)
used_proof used_proof_pkey PRIMARY KEY (digest)

-- indexes
CREATE UNIQUE INDEX access_entity_pkey ON public.access_entity USING btree (org, reference, event, role)
CREATE INDEX access_entity_time ON public.access_entity USING brin (event) WITH (pages_per_range='16', autosummarize='on')
CREATE INDEX access_event_client ON public.access_event USING btree (org, agent_client, id) WHERE (agent_client IS NOT NULL)
CREATE INDEX access_event_outcome ON public.access_event USING btree (org, outcome, id) WHERE (outcome <> 0)
CREATE UNIQUE INDEX access_event_pkey ON public.access_event USING btree (org, id)
CREATE INDEX access_event_request ON public.access_event USING btree (org, request_id, id)
CREATE INDEX access_event_subject ON public.access_event USING btree (org, agent_subject, id) WHERE (agent_subject IS NOT NULL)
CREATE INDEX access_event_subtype ON public.access_event USING btree (org, subtype, id)
CREATE INDEX access_event_user ON public.access_event USING btree (org, agent_user, id) WHERE (agent_user IS NOT NULL)
CREATE INDEX access_event_written ON public.access_event USING btree (written_in)
CREATE INDEX access_grant_owner ON public.access_grant USING btree (org, owner, id)
CREATE UNIQUE INDEX access_grant_pkey ON public.access_grant USING btree (org, id)
CREATE UNIQUE INDEX access_shape_pkey ON public.access_shape USING btree (org, id)
CREATE UNIQUE INDEX alias_sequence_pkey ON public.alias_sequence USING btree (org, kind)
CREATE UNIQUE INDEX attachment_use_pkey ON public.attachment_use USING btree (org, "binary", type, id, version)
CREATE INDEX break_glass_open ON public.break_glass USING btree (org, id) WHERE (reviewed_at IS NULL)
CREATE UNIQUE INDEX break_glass_pkey ON public.break_glass USING btree (org, id)
CREATE INDEX content_condemned ON public.content USING btree (created_at) WHERE (state = 'condemned'::text)
CREATE INDEX content_key ON public.content USING btree (store COLLATE "C", key COLLATE "C") WHERE (state <> 'gone'::text)
CREATE UNIQUE INDEX content_pkey ON public.content USING btree (org, id)
CREATE INDEX content_purge ON public.content USING btree (org, purge) WHERE (purge IS NOT NULL)
CREATE INDEX content_quarantined ON public.content USING btree (org, id) WHERE (state = 'quarantined'::text)
CREATE INDEX content_staging ON public.content USING btree (created_at) WHERE (state = 'staging'::text)
CREATE INDEX content_unreplicated ON public.content USING btree (published_at) WHERE ((replicated_at IS NULL) AND (state = 'live'::text))
CREATE INDEX content_verified ON public.content USING btree (verified_at) WHERE (state = 'live'::text)
CREATE UNIQUE INDEX content_use_pkey ON public.content_use USING btree (org)
CREATE UNIQUE INDEX file_event_pkey ON public.file_event USING btree (org, written_in, seq)
CREATE INDEX file_event_written ON public.file_event USING btree (written_in)
CREATE UNIQUE INDEX file_handle_pkey ON public.file_handle USING btree (org, creator, name, "binary")
CREATE INDEX idempotency_age ON public.idempotency USING btree (created_at)
CREATE UNIQUE INDEX idempotency_pkey ON public.idempotency USING btree (org, client, key)
CREATE INDEX legal_hold_active ON public.legal_hold USING btree (org, target) WHERE (lifted_at IS NULL)
CREATE UNIQUE INDEX legal_hold_pkey ON public.legal_hold USING btree (org, id)
CREATE UNIQUE INDEX log_checkpoint_pkey ON public.log_checkpoint USING btree (size)
CREATE UNIQUE INDEX log_key_pkey ON public.log_key USING btree (ordinal)
CREATE UNIQUE INDEX log_key_verifier_key ON public.log_key USING btree (verifier)
CREATE UNIQUE INDEX log_leaf_event ON public.log_leaf USING btree (org, event) WHERE (version IS NULL)
CREATE UNIQUE INDEX log_leaf_pkey ON public.log_leaf USING btree (index)
CREATE UNIQUE INDEX log_leaf_version ON public.log_leaf USING btree (org, type, id, version) WHERE (version IS NOT NULL)
CREATE UNIQUE INDEX log_removal_pkey ON public.log_removal USING btree (size)
CREATE UNIQUE INDEX log_state_pkey ON public.log_state USING btree (single)
CREATE UNIQUE INDEX log_subtree_pkey ON public.log_subtree USING btree (height, "position")
CREATE INDEX medical_record_appointment ON public.medical_record USING btree (org, appointment_id, id)
CREATE UNIQUE INDEX medical_record_document ON public.medical_record USING btree (org, document)
CREATE INDEX medical_record_drawing_data ON public.medical_record USING gin (drawing_data jsonb_path_ops)
CREATE INDEX medical_record_patient ON public.medical_record USING btree (org, patient_id, id) WHERE (patient_id IS NOT NULL)
CREATE UNIQUE INDEX medical_record_pkey ON public.medical_record USING btree (org, id)
CREATE INDEX medical_record_file_file ON public.medical_record_file USING btree (org, patient_file_id)
CREATE UNIQUE INDEX medical_record_file_pkey ON public.medical_record_file USING btree (org, medical_record_id, patient_file_id, file_role)
CREATE UNIQUE INDEX migration_pkey ON public.migration USING btree (id)
CREATE UNIQUE INDEX migration_lock_pkey ON public.migration_lock USING btree (index)
CREATE UNIQUE INDEX mirror_access_pkey ON public.mirror_access USING btree (org)
CREATE UNIQUE INDEX mirror_access_refused_pkey ON public.mirror_access_refused USING btree (org, event)
CREATE UNIQUE INDEX mirror_drift_pkey ON public.mirror_drift USING btree (org, type, id)
CREATE INDEX mirror_head_due ON public.mirror_head USING btree (org, lane, shard, next_at) WHERE ((state = 'waiting'::text) AND (next_at IS NOT NULL))
CREATE INDEX mirror_head_parked ON public.mirror_head USING btree (org, parked_at) WHERE (state = 'parked'::text)
CREATE UNIQUE INDEX mirror_head_pkey ON public.mirror_head USING btree (org, type, id)
CREATE UNIQUE INDEX mirror_pause_pkey ON public.mirror_pause USING btree (org)
CREATE UNIQUE INDEX mirror_run_pkey ON public.mirror_run USING btree (org, kind, started_at)
CREATE UNIQUE INDEX mirror_skip_pkey ON public.mirror_skip USING btree (org, type, id, version, skipped_at)
CREATE UNIQUE INDEX organisation_name_key ON public.organisation USING btree (name)
CREATE UNIQUE INDEX organisation_pkey ON public.organisation USING btree (id)
CREATE INDEX outbox_event ON public.outbox USING btree (org, event)
CREATE INDEX outbox_new ON public.outbox USING btree (org, seq) WHERE (NOT taken)
CREATE UNIQUE INDEX outbox_pkey ON public.outbox USING btree (org, seq)
CREATE INDEX outbox_resource ON public.outbox USING btree (org, type, id, version)
CREATE INDEX patient_file_patient ON public.patient_file USING btree (org, patient_id, id)
CREATE UNIQUE INDEX patient_file_pkey ON public.patient_file USING btree (org, id)
CREATE UNIQUE INDEX policy_rule_pkey ON public.policy_rule USING btree (org, version, role, category, action, effect)
CREATE UNIQUE INDEX policy_version_pkey ON public.policy_version USING btree (org, version)
CREATE UNIQUE INDEX purge_open ON public.purge USING btree (org, type, resource) WHERE (state = ANY (ARRAY['requested'::text, 'approved'::text]))
CREATE UNIQUE INDEX purge_pkey ON public.purge USING btree (org, id)
CREATE INDEX purge_unfinished ON public.purge USING btree (org, id) WHERE (state = 'approved'::text)
CREATE UNIQUE INDEX purged_version_pkey ON public.purged_version USING btree (org, type, id, version)
CREATE INDEX purged_version_purge ON public.purged_version USING btree (org, purge)
CREATE UNIQUE INDEX record_forward_pkey ON public.record_forward USING btree (target)
CREATE INDEX rendition_binary ON public.rendition USING btree (org, "binary")
CREATE INDEX rendition_content ON public.rendition USING btree (org, content) WHERE (content IS NOT NULL)
CREATE INDEX rendition_due ON public.rendition USING btree (due_at) WHERE (state = 'waiting'::text)
CREATE UNIQUE INDEX rendition_pkey ON public.rendition USING btree (org, source, edge)
CREATE INDEX replaced_image_due ON public.replaced_image USING btree (remove_at)
CREATE UNIQUE INDEX replaced_image_pkey ON public.replaced_image USING btree (org, "binary")
CREATE INDEX resource_date ON public.resource USING btree (org, type, date_lo, id) WHERE (NOT deleted)
CREATE INDEX resource_deleted ON public.resource USING btree (org, type, last_updated, id) WHERE deleted
CREATE UNIQUE INDEX resource_master_identifier ON public.resource USING btree (org, type, master_identifier) WHERE ((NOT deleted) AND (master_identifier IS NOT NULL))
CREATE INDEX resource_newest ON public.resource USING btree (org, type, last_updated, id) WHERE (NOT deleted)
CREATE INDEX resource_patient_date ON public.resource USING btree (org, type, patient, date_lo, id) WHERE ((NOT deleted) AND (patient IS NOT NULL))
CREATE UNIQUE INDEX resource_pkey ON public.resource USING btree (org, type, id)
CREATE INDEX resource_rare_status ON public.resource USING btree (org, type, status, last_updated, id) WHERE ((NOT deleted) AND (status IS NOT NULL) AND (status <> ALL (ARRAY['current'::text, 'completed'::text])))
CREATE INDEX resource_retention ON public.resource USING btree (org, retention, last_activity, type, id) WHERE (retention IS NOT NULL)
CREATE INDEX resource_history_made ON public.resource_history USING btree (org, type, last_updated, id, version)
CREATE UNIQUE INDEX resource_history_pkey ON public.resource_history USING btree (org, type, id, version)
CREATE UNIQUE INDEX retention_told_pkey ON public.retention_told USING btree (org, retention)
CREATE UNIQUE INDEX search_composite_pkey ON public.search_composite USING btree (org, type, param, hash, last_updated, id)
CREATE UNIQUE INDEX search_date_pkey ON public.search_date USING btree (org, type, param, lo, hi, last_updated, id)
CREATE INDEX search_date_version ON public.search_date USING btree (org, type, param, last_updated, id) INCLUDE (lo, hi)
CREATE UNIQUE INDEX search_reference_pkey ON public.search_reference USING btree (org, type, param, hash, last_updated, id)
CREATE UNIQUE INDEX search_reindex_pkey ON public.search_reindex USING btree (type, fingerprint)
CREATE UNIQUE INDEX search_string_pkey ON public.search_string USING btree (org, type, param, norm, last_updated, id)
CREATE UNIQUE INDEX search_token_pkey ON public.search_token USING btree (org, type, param, hash, last_updated, id)
CREATE UNIQUE INDEX search_uri_pkey ON public.search_uri USING btree (org, type, param, value, last_updated, id)
CREATE UNIQUE INDEX server_fact_pkey ON public.server_fact USING btree (name)
CREATE UNIQUE INDEX server_secret_pkey ON public.server_secret USING btree (name)
CREATE UNIQUE INDEX store_epoch_pkey ON public.store_epoch USING btree (store)
CREATE UNIQUE INDEX store_inventory_pkey ON public.store_inventory USING btree (store)
CREATE UNIQUE INDEX stray_object_pkey ON public.stray_object USING btree (store, key)
CREATE INDEX upload_expiry ON public.upload USING btree (org, expires_at)
CREATE UNIQUE INDEX upload_pkey ON public.upload USING btree (org, id)
CREATE UNIQUE INDEX upload_part_pkey ON public.upload_part USING btree (org, upload, start)
CREATE UNIQUE INDEX used_proof_pkey ON public.used_proof USING btree (digest)

-- row-level security
access_entity enabled forced
access_event enabled forced
access_grant enabled forced
access_shape enabled forced
alias_sequence enabled forced
attachment_use enabled forced
break_glass enabled forced
content enabled forced
content_use enabled forced
file_event enabled forced
file_handle enabled forced
idempotency enabled forced
legal_hold enabled forced
log_checkpoint off
log_key off
log_leaf off
log_removal off
log_state off
log_subtree off
medical_record enabled forced
medical_record_file enabled forced
migration off
migration_lock off
mirror_access enabled forced
mirror_access_refused enabled forced
mirror_drift enabled forced
mirror_head enabled forced
mirror_pause enabled forced
mirror_run enabled forced
mirror_skip enabled forced
organisation off
outbox enabled forced
patient_file enabled forced
policy_rule enabled forced
policy_version enabled forced
purge enabled forced
purged_version enabled forced
record_forward off
rendition enabled forced
replaced_image enabled forced
resource enabled forced
resource_history enabled forced
retention_told enabled forced
search_composite enabled forced
search_date enabled forced
search_reference enabled forced
search_reindex off
search_string enabled forced
search_token enabled forced
search_uri enabled forced
server_fact off
server_secret off
store_epoch off
store_inventory off
stray_object off
upload enabled forced
upload_part enabled forced
used_proof off

-- policies
access_entity audit_insert PERMISSIVE INSERT to muniment_audit with check true
access_entity own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
access_entity removal_sees PERMISSIVE SELECT to postgres using true
access_entity removal_takes PERMISSIVE DELETE to postgres using true
access_entity worker_everything PERMISSIVE ALL to muniment_worker using true with check true
access_event audit_insert PERMISSIVE INSERT to muniment_audit with check true
access_event own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
access_event removal_sees PERMISSIVE SELECT to postgres using true
access_event removal_takes PERMISSIVE DELETE to postgres using true
access_event worker_everything PERMISSIVE ALL to muniment_worker using true with check true
access_grant own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
access_grant worker_everything PERMISSIVE ALL to muniment_worker using true with check true
access_shape audit_insert PERMISSIVE INSERT to muniment_audit with check true
access_shape own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
access_shape worker_everything PERMISSIVE ALL to muniment_worker using true with check true
alias_sequence own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
attachment_use own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
attachment_use worker_everything PERMISSIVE ALL to muniment_worker using true with check true
break_glass own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
content own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
content worker_everything PERMISSIVE ALL to muniment_worker using true with check true
content_use own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
content_use worker_everything PERMISSIVE ALL to muniment_worker using true with check true
file_event own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
file_event worker_everything PERMISSIVE ALL to muniment_worker using true with check true
file_handle own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
idempotency own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
idempotency worker_everything PERMISSIVE ALL to muniment_worker using true with check true
legal_hold own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
legal_hold worker_everything PERMISSIVE ALL to muniment_worker using true with check true
medical_record own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
medical_record_file own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
mirror_access own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
mirror_access worker_everything PERMISSIVE ALL to muniment_worker using true with check true
mirror_access_refused own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
mirror_access_refused worker_everything PERMISSIVE ALL to muniment_worker using true with check true
mirror_drift own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
mirror_drift worker_everything PERMISSIVE ALL to muniment_worker using true with check true
mirror_head decided_when_parked RESTRICTIVE UPDATE to muniment_app using (state = 'parked'::text) with check true
mirror_head own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
mirror_head worker_everything PERMISSIVE ALL to muniment_worker using true with check true
mirror_pause own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
mirror_pause worker_everything PERMISSIVE ALL to muniment_worker using true with check true
mirror_run own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
mirror_run worker_everything PERMISSIVE ALL to muniment_worker using true with check true
mirror_skip own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
mirror_skip worker_everything PERMISSIVE ALL to muniment_worker using true with check true
outbox given_up_when_parked RESTRICTIVE DELETE to muniment_app using (EXISTS ( SELECT
   FROM mirror_head h
  WHERE ((h.org = outbox.org) AND (h.type = outbox.type) AND (h.id = outbox.id) AND (h.state = 'parked'::text))))
outbox own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
outbox worker_everything PERMISSIVE ALL to muniment_worker using true with check true
patient_file own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
policy_rule own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
policy_version own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
purge own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
purge worker_everything PERMISSIVE ALL to muniment_worker using true with check true
purged_version own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
purged_version worker_everything PERMISSIVE ALL to muniment_worker using true with check true
rendition own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
rendition worker_everything PERMISSIVE ALL to muniment_worker using true with check true
replaced_image own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
replaced_image worker_everything PERMISSIVE ALL to muniment_worker using true with check true
resource own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
resource worker_everything PERMISSIVE ALL to muniment_worker using true with check true
resource_history own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
resource_history worker_everything PERMISSIVE ALL to muniment_worker using true with check true
retention_told own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
retention_told worker_everything PERMISSIVE ALL to muniment_worker using true with check true
search_composite own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
search_composite worker_everything PERMISSIVE ALL to muniment_worker using true with check true
search_date own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
search_date worker_everything PERMISSIVE ALL to muniment_worker using true with check true
search_reference own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
search_reference worker_everything PERMISSIVE ALL to muniment_worker using true with check true
search_string own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
search_string worker_everything PERMISSIVE ALL to muniment_worker using true with check true
search_token own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
search_token worker_everything PERMISSIVE ALL to muniment_worker using true with check true
search_uri own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
search_uri worker_everything PERMISSIVE ALL to muniment_worker using true with check true
upload own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))
upload_part own_organisation PERMISSIVE ALL to muniment_app using (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting)) with check (org = ( SELECT (current_setting('app.org'::text))::integer AS current_setting))

-- grants on tables and sequences
access_entity to muniment_app: insert, select
access_entity to muniment_audit: insert
access_entity to muniment_worker: select
access_event to muniment_app: insert, select
access_event to muniment_audit: insert
access_event to muniment_worker: select
access_grant to muniment_app: delete, insert, select, update
access_grant to muniment_worker: select
access_shape to muniment_app: insert, select
access_shape to muniment_audit: insert
access_shape to muniment_worker: select
alias_sequence to muniment_app: insert, select, update
attachment_use to muniment_app: insert, select
attachment_use to muniment_worker: select
break_glass to muniment_app: insert, select
content to muniment_app: insert, select, update
content to muniment_worker: select, update
content_use to muniment_app: insert, select, update
content_use to muniment_worker: select, update
file_event to muniment_app: insert, select
file_event to muniment_worker: delete, insert, select
file_handle to muniment_app: insert, select
idempotency to muniment_app: delete, insert, select, update
idempotency to muniment_worker: delete, select
legal_hold to muniment_app: insert, select
legal_hold to muniment_worker: select
log_checkpoint to muniment_worker: insert, select
log_key to muniment_worker: insert, select
log_leaf to muniment_worker: insert, select
log_removal to muniment_worker: insert, select
log_state to muniment_worker: select, update
log_subtree to muniment_worker: insert, select
medical_record to muniment_app: insert, select, update
medical_record_file to muniment_app: delete, insert, select
mirror_access to muniment_app: select
mirror_access to muniment_worker: insert, select, update
mirror_access_refused to muniment_app: select
mirror_access_refused to muniment_worker: insert, select
mirror_drift to muniment_app: select
mirror_drift to muniment_worker: delete, insert, select, update
mirror_head to muniment_app: select
mirror_head to muniment_worker: delete, insert, select, update
mirror_pause to muniment_app: select
mirror_pause to muniment_worker: delete, insert, select, update
mirror_run to muniment_app: select
mirror_run to muniment_worker: delete, insert, select, update
mirror_skip to muniment_app: insert, select
mirror_skip to muniment_worker: insert, select
organisation to muniment_app: insert, select
organisation to muniment_audit: select
organisation to muniment_worker: select
outbox to muniment_app: delete, insert, select
outbox to muniment_worker: delete, select
patient_file to muniment_app: insert, select
policy_rule to muniment_app: insert, select
policy_version to muniment_app: insert, select
purge to muniment_app: insert, select, update
purge to muniment_worker: select, update
purged_version to muniment_app: insert, select
purged_version to muniment_worker: select
record_forward to muniment_worker: insert, select, update
rendition to muniment_app: insert, select, update
rendition to muniment_worker: delete, select, update
replaced_image to muniment_app: delete, insert, select, update
replaced_image to muniment_worker: select
resource to muniment_app: insert, select, update
resource to muniment_worker: select
resource_history to muniment_app: insert, select
resource_history to muniment_worker: select
retention_told to muniment_app: select
retention_told to muniment_worker: insert, select, update
search_composite to muniment_app: delete, insert, select
search_composite to muniment_worker: delete, insert, select
search_date to muniment_app: delete, insert, select
search_date to muniment_worker: delete, insert, select
search_reference to muniment_app: delete, insert, select
search_reference to muniment_worker: delete, insert, select
search_reindex to muniment_app: select
search_reindex to muniment_worker: insert, select, update
search_string to muniment_app: delete, insert, select
search_string to muniment_worker: delete, insert, select
search_token to muniment_app: delete, insert, select
search_token to muniment_worker: delete, insert, select
search_uri to muniment_app: delete, insert, select
search_uri to muniment_worker: delete, insert, select
server_fact to muniment_app: insert, select
server_secret to muniment_app: insert, select
store_epoch to muniment_worker: insert, select, update
store_inventory to muniment_worker: insert, select, update
stray_object to muniment_worker: delete, insert, select, update
upload to muniment_app: delete, insert, select, update
upload_part to muniment_app: delete, insert, select
used_proof to muniment_app: delete, insert, select

-- grants on columns
break_glass.review_note to muniment_app: update
break_glass.reviewed_at to muniment_app: update
break_glass.reviewed_by to muniment_app: update
legal_hold.lift_reason to muniment_app: update
legal_hold.lifted_at to muniment_app: update
legal_hold.lifted_by to muniment_app: update
mirror_head.attempts to muniment_app: update
mirror_head.last_error to muniment_app: update
mirror_head.next_at to muniment_app: update
mirror_head.parked_at to muniment_app: update
mirror_head.refusals to muniment_app: update
mirror_head.state to muniment_app: update
organisation.allowed_types to muniment_app: update
organisation.allowed_types_of to muniment_app: update
organisation.direct_urls to muniment_app: update
organisation.disabled_at to muniment_app: update
organisation.issuers to muniment_app: update
organisation.quota_bytes to muniment_app: update
organisation.quota_count to muniment_app: update
organisation.require_if_match to muniment_app: update
organisation.retention to muniment_app: update
organisation.revision to muniment_app: update
organisation.title to muniment_app: update
outbox.taken to muniment_worker: update
resource.date_hi to muniment_worker: update
resource.date_lo to muniment_worker: update
resource.patient to muniment_worker: update
resource.present to muniment_worker: update
resource.status to muniment_worker: update
resource.words to muniment_worker: update
resource_history.body to muniment_app: update
resource_history.patient to muniment_app: update

-- functions
CREATE OR REPLACE FUNCTION public.below_removal(of_org integer, of_event uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
      select exists (select from log_leaf l where l.org = of_org and l.event = of_event and l.version is null and l.index < (select max(size) from log_removal))
    $function$
CREATE OR REPLACE FUNCTION public.body(e access_event)
 RETURNS text
 LANGUAGE plpgsql
 STABLE PARALLEL SAFE STRICT COST 20
AS $function$
    begin
      if e.shape = 0 then return e.parts; end if;
      return format((select s.text from access_shape s where s.org = e.org and s.id = e.shape),
        variadic array[e.id::text, to_char(e.recorded at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')] || string_to_array(e.parts, chr(31)));
    end $function$
CREATE OR REPLACE FUNCTION public.count_content()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
      begin
        if old.published_at is null and new.published_at is not null then
          update content_use set bytes = bytes + new.size, count = count + 1 where org = new.org;
        elsif new.state = 'gone' and old.state <> 'gone' and old.published_at is not null then
          update content_use set bytes = bytes - old.size, count = count - 1 where org = new.org;
        end if;
        return null;
      end
    $function$
CREATE OR REPLACE FUNCTION public.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      raise exception 'The record is appended to, never changed';
    end $function$
CREATE OR REPLACE FUNCTION public.refuse_entity_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      if tg_op = 'DELETE' and not exists (select from access_event e where e.org = old.org and e.id = old.event) and below_removal(old.org, old.event) then
        return old;
      end if;
      raise exception 'The record is appended to, never changed';
    end $function$
CREATE OR REPLACE FUNCTION public.refuse_event_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      if tg_op = 'DELETE' and not old.write and old.recorded < now() - interval '8 years' and below_removal(old.org, old.id) then
        return old;
      end if;
      raise exception 'The record is appended to, never changed';
    end $function$
CREATE OR REPLACE FUNCTION public.refuse_history_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
      begin
        if new.body is null and new.patient is null
          and (new.org, new.type, new.id, new.version, new.last_updated, new.deleted, new.method) = (old.org, old.type, old.id, old.version, old.last_updated, old.deleted, old.method)
          and new.content is not distinct from old.content and new.creator is not distinct from old.creator
          and exists (select from purged_version p where p.org = old.org and p.type = old.type and p.id = old.id and p.version = old.version
            and p.sha256 is not distinct from (case when old.body is null then null else sha256(convert_to(old.body, 'UTF8')) end)) then
          return new;
        end if;
        raise exception 'A superseded version does not change';
      end
    $function$
CREATE OR REPLACE FUNCTION public.remove_entities(of_orgs integer[], of_references text[], of_roles smallint[], of_events uuid[])
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
      delete from access_entity x using unnest(of_orgs, of_references, of_roles, of_events) as t (org, reference, role, event)
        where x.org = t.org and x.reference = t.reference and x.event = t.event and x.role = t.role
    $function$
CREATE OR REPLACE FUNCTION public.remove_events(of_orgs integer[], of_events uuid[])
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
      delete from access_event e using unnest(of_orgs, of_events) as t (org, id) where e.org = t.org and e.id = t.id
    $function$
CREATE OR REPLACE FUNCTION public.tell_begun()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
      begin
        insert into file_event (org, events, content) values (new.org, '{initiated}', new.id);
        return null;
      end
    $function$
CREATE OR REPLACE FUNCTION public.tell_link()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
      begin
        -- A version after the first one that links says nothing new.
        if not exists (select from attachment_use u where u.org = new.org and u."binary" = new."binary" and u.type = new.type and u.id = new.id and u.version < new.version) then
          insert into file_event (org, events, "binary", type, id, version) values (new.org, '{linked}', new."binary", new.type, new.id, new.version);
        end if;
        return null;
      end
    $function$
CREATE OR REPLACE FUNCTION public.tell_purge()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
      begin
        insert into file_event (org, events, type, id) values (new.org, '{purged}', new.type, new.resource);
        return null;
      end
    $function$
CREATE OR REPLACE FUNCTION public.tell_service()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
      begin
        insert into file_event (org, events, content) values (new.org, case new.state when 'live' then '{restored}'::text[] else '{quarantined}' end, new.id);
        return null;
      end
    $function$
CREATE OR REPLACE FUNCTION public.tell_version()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
      declare
        told text[] := '{}';
        bytes record;
      begin
        if tg_op = 'UPDATE' and not old.deleted then told := case when new.deleted then '{deleted}'::text[] else '{superseded}' end; end if;
        if new.type = 1 and new.content is not null and (tg_op = 'INSERT' or new.content is distinct from old.content) then
          select state, scan_verdict into bytes from content where org = new.org and id = new.content;
          told := told || '{uploaded}'::text[] || case when bytes.scan_verdict in ('clean', 'unscannable') then '{scanned}'::text[] else '{}' end || '{verified}'::text[]
            || case when bytes.state = 'quarantined' then '{quarantined}'::text[] else '{}' end;
        end if;
        if told <> '{}' then insert into file_event (org, events, content, type, id, version) values (new.org, told, new.content, new.type, new.id, new.version); end if;
        return null;
      end
    $function$

-- triggers
CREATE TRIGGER access_entity_append_only BEFORE DELETE OR UPDATE ON access_entity FOR EACH ROW EXECUTE FUNCTION refuse_entity_change()
CREATE TRIGGER access_entity_no_truncate BEFORE TRUNCATE ON access_entity FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
CREATE TRIGGER access_event_append_only BEFORE DELETE OR UPDATE ON access_event FOR EACH ROW EXECUTE FUNCTION refuse_event_change()
CREATE TRIGGER access_event_no_truncate BEFORE TRUNCATE ON access_event FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
CREATE TRIGGER access_shape_append_only BEFORE DELETE OR UPDATE ON access_shape FOR EACH ROW EXECUTE FUNCTION refuse_change()
CREATE TRIGGER access_shape_no_truncate BEFORE TRUNCATE ON access_shape FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
CREATE TRIGGER attachment_told AFTER INSERT ON attachment_use FOR EACH ROW EXECUTE FUNCTION tell_link()
CREATE TRIGGER content_begun AFTER INSERT ON content FOR EACH ROW WHEN (new.state = 'staging'::text AND new.declared_type IS NOT NULL) EXECUTE FUNCTION tell_begun()
CREATE TRIGGER content_counted AFTER UPDATE OF state ON content FOR EACH ROW EXECUTE FUNCTION count_content()
CREATE TRIGGER content_service AFTER UPDATE OF state ON content FOR EACH ROW WHEN (old.state = 'live'::text AND new.state = 'quarantined'::text OR old.state = 'quarantined'::text AND new.state = 'live'::text) EXECUTE FUNCTION tell_service()
CREATE TRIGGER log_checkpoint_append_only BEFORE DELETE OR UPDATE ON log_checkpoint FOR EACH ROW EXECUTE FUNCTION refuse_change()
CREATE TRIGGER log_checkpoint_no_truncate BEFORE TRUNCATE ON log_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
CREATE TRIGGER log_key_append_only BEFORE DELETE OR UPDATE ON log_key FOR EACH ROW EXECUTE FUNCTION refuse_change()
CREATE TRIGGER log_leaf_append_only BEFORE DELETE OR UPDATE ON log_leaf FOR EACH ROW EXECUTE FUNCTION refuse_change()
CREATE TRIGGER log_leaf_no_truncate BEFORE TRUNCATE ON log_leaf FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
CREATE TRIGGER log_removal_append_only BEFORE DELETE OR UPDATE ON log_removal FOR EACH ROW EXECUTE FUNCTION refuse_change()
CREATE TRIGGER log_removal_no_truncate BEFORE TRUNCATE ON log_removal FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
CREATE TRIGGER log_subtree_append_only BEFORE DELETE OR UPDATE ON log_subtree FOR EACH ROW EXECUTE FUNCTION refuse_change()
CREATE TRIGGER policy_rule_append_only BEFORE DELETE OR UPDATE ON policy_rule FOR EACH ROW EXECUTE FUNCTION refuse_change()
CREATE TRIGGER policy_version_append_only BEFORE DELETE OR UPDATE ON policy_version FOR EACH ROW EXECUTE FUNCTION refuse_change()
CREATE TRIGGER purge_told AFTER UPDATE OF state ON purge FOR EACH ROW WHEN (new.state = 'done'::text AND old.state <> 'done'::text) EXECUTE FUNCTION tell_purge()
CREATE TRIGGER binary_told AFTER INSERT ON resource FOR EACH ROW WHEN (new.type = 1) EXECUTE FUNCTION tell_version()
CREATE TRIGGER version_told AFTER UPDATE OF version ON resource FOR EACH ROW WHEN (new.version > old.version) EXECUTE FUNCTION tell_version()
CREATE TRIGGER resource_history_kept BEFORE UPDATE ON resource_history FOR EACH ROW EXECUTE FUNCTION refuse_history_change()

-- roles
muniment_app nologin
muniment_audit nologin
muniment_worker nologin
