// POST /graphql: uploads, documents and their record in one operation. Each field at the root passes the doorway by itself;
// the request leaves a record of its own beside theirs.
import { execute, GraphQLError, type ExecutionResult } from 'graphql';
import { creatorOf } from '../access/principal.ts';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import { contentRules } from '../interactions/content-rules.ts';
import { defineInteraction, type FhirResponse, type InteractionContext } from '../interactions/interaction.ts';
import { findFileHandle, insertFileHandles } from '../resources/file-handles.ts';
import { findGrantStatement, grantOf, type GrantRow } from '../resources/access-grants.ts';
import type { GrantOperationParts } from '../operations/named-grant.ts';
import type { AdapterGroup } from './adapter-route.ts';
import { GRAPHQL_ROW } from './describe-files.ts';
import { fhirCalls, type FhirCallParts } from './fhir-call.ts';
import { fileUploads } from './graphql-upload.ts';
import { readDocument } from './graphql-document.ts';
import { withRequest, type GraphqlRequest, type RequestParts } from './graphql-request.ts';
import { fileMetadata } from './graphql-resource.ts';
import { resolvers, type GraphqlCaller } from './graphql-resolvers.ts';
import { schema } from './graphql-schema.ts';

export interface GraphqlParts extends FhirCallParts, RequestParts, GrantOperationParts {
  production: boolean;
}

interface Answered {
  response: FhirResponse;
  handles: ReadonlyMap<string, string>;
}

/** What nobody expected is told as such; its text stands in no answer. */
function shown(error: GraphQLError): GraphQLError {
  const { originalError } = error;
  if (originalError === undefined || originalError instanceof FhirError || originalError instanceof GraphQLError) return error;
  return new GraphQLError('Unexpected failure', { nodes: error.nodes ?? null, path: error.path ?? null, extensions: { code: 'exception', status: 500 } });
}

const answer = (status: number, result: ExecutionResult): FhirResponse => ({ status, headers: { 'Content-Type': 'application/json; charset=utf-8' }, body: JSON.stringify(result) });

/** Faults of the request itself are 400 without data; those of single fields stand beside the data of the others. */
async function run(request: GraphqlRequest, caller: GraphqlCaller, production: boolean): Promise<FhirResponse> {
  const read = readDocument(request.query, request.operationName, production);
  if (!('document' in read)) return answer(400, { errors: read.map((error) => new GraphQLError(error.message, { nodes: error.nodes ?? null, source: error.source ?? null, positions: error.positions ?? null, extensions: { code: 'structure', status: 400 } })) });
  const result = await execute({ schema, document: read.document, rootValue: resolvers(caller), variableValues: request.variables, operationName: request.operationName ?? null });
  const errors = result.errors?.map(shown);
  return answer(result.data === undefined ? 400 : 200, { ...(errors === undefined ? {} : { errors }), ...(result.data === undefined ? {} : { data: result.data }) });
}

function callerOf(parts: GraphqlParts, context: InteractionContext): GraphqlCaller {
  const { org, principal, request, read } = context;
  return {
    call: fhirCalls(parts, context),
    upload: fileUploads(parts, context),
    fhirBase: parts.fhirBase,
    allowedTypes: contentRules(context, 'Binary').allowedTypes,
    metadata: fileMetadata(request.header('x-file-metadata')),
    handles: new Map(),
    findHandle: (name) => read((tx) => findFileHandle(tx, org.id, creatorOf(principal), name)),
    async resourceOfUrl(urlOrToken) {
      const named = await parts.grantKeys.verify(urlOrToken.split(/[?#]/)[0]?.split('/').at(-1) ?? '');
      const row = named?.org !== org.id || named.picture !== undefined ? undefined : (await read((tx) => tx.query<GrantRow>(findGrantStatement(org.id, named.id)))).rows[0];
      if (row === undefined) throw fhirError('not-found', 'There is no such signed URL');
      const { type, resourceId } = grantOf(row);
      return `${type}/${resourceId}`;
    },
  };
}

export function graphql(parts: GraphqlParts): AdapterGroup {
  const interaction = defineInteraction<Answered>({
    code: 'batch',
    kind: 'write',
    prepare: async (context) => {
      const caller = callerOf(parts, context);
      return { response: await withRequest(context, parts, (request) => run(request, caller, parts.production)), handles: caller.handles };
    },
    run: async (tx, { org, principal, now }, { response, handles }) => {
      await insertFileHandles(tx, org.id, creatorOf(principal), handles, new Date(now));
      return { response, entities: [] };
    },
  });
  return { prefix: 'graphql', crossOrigin: true, routes: [{ method: 'POST', path: '', type: 'Bundle', access: { interaction: 'batch' }, interaction, says: GRAPHQL_ROW }] };
}
