// The document of a GraphQL request: parsed, held against the schema and against the limits, before anything runs.
import { GraphQLError, Kind, Lexer, NoSchemaIntrospectionCustomRule, OperationTypeNode, parse, Source, specifiedRules, TokenKind, validate, type DocumentNode, type FragmentDefinitionNode, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';
import { schema } from './graphql-schema.ts';

export const CHARACTERS_MAX = 100_000;
const TOKENS_MAX = 20_000;
const DEPTH_MAX = 12;
/** Fields at the root, each of which is an access of its own. */
const ROOTS_MAX = 20;
/** Fields in all, fragments counted wherever they are spread. */
const FIELDS_MAX = 1_000;

/**
 * Documentation in the field has `note { text: "…" }` among the members of an input object: the colon that the grammar wants is
 * put in there, and nowhere else.
 */
export function withColons(text: string): string {
  const lexer = new Lexer(new Source(text));
  const missing: number[] = [];
  let parentheses = 0;
  let name: number | undefined;
  for (let token = lexer.advance(), before = token; token.kind !== TokenKind.EOF; before = token, token = lexer.advance()) {
    if (token.kind === TokenKind.PAREN_L) parentheses += 1;
    if (token.kind === TokenKind.PAREN_R) parentheses -= 1;
    if (token.kind === TokenKind.BRACE_L && name !== undefined) missing.push(name);
    // A name that a colon precedes is a value (an enum), and one after $ is a variable.
    const isMember = parentheses > 0 && token.kind === TokenKind.NAME && before.kind !== TokenKind.COLON && before.kind !== TokenKind.DOLLAR;
    name = isMember ? token.end : undefined;
  }
  return missing.reduceRight((repaired, at) => `${repaired.slice(0, at)}:${repaired.slice(at)}`, text);
}

function parseTolerantly(text: string): DocumentNode {
  try {
    return parse(text, { maxTokens: TOKENS_MAX });
  } catch (error) {
    try {
      const repaired = withColons(text);
      if (repaired !== text) return parse(repaired, { maxTokens: TOKENS_MAX });
    } catch { /* The first fault is the one that is told. */ }
    throw error;
  }
}

interface Size { depth: number; fields: number }

/** Stops as soon as a bound is passed: fragments in fragments could make any number of fields. */
function measure(selections: SelectionSetNode | undefined, fragments: ReadonlyMap<string, FragmentDefinitionNode>, size: Size, depth: number): void {
  for (const selection of selections?.selections ?? []) {
    if (selection.kind === Kind.FIELD) {
      size.fields += 1;
      size.depth = Math.max(size.depth, depth);
      if (size.fields > FIELDS_MAX) throw new GraphQLError(`A request may ask for ${FIELDS_MAX} fields`);
      if (depth > DEPTH_MAX) throw new GraphQLError(`Fields may be nested ${DEPTH_MAX} deep`);
      measure(selection.selectionSet, fragments, size, depth + 1);
    } else measure(selection.kind === Kind.INLINE_FRAGMENT ? selection.selectionSet : fragments.get(selection.name.value)?.selectionSet, fragments, size, depth);
  }
}

function rootFields(selections: SelectionSetNode, fragments: ReadonlyMap<string, FragmentDefinitionNode>): number {
  return selections.selections.reduce((sum, selection) => {
    if (selection.kind === Kind.FIELD) return sum + 1;
    const inner = selection.kind === Kind.INLINE_FRAGMENT ? selection.selectionSet : fragments.get(selection.name.value)?.selectionSet;
    return sum + (inner === undefined ? 0 : rootFields(inner, fragments));
  }, 0);
}

export interface ReadDocument {
  document: DocumentNode;
  operation: OperationDefinitionNode;
}

/** Raises GraphQLError or answers every fault that validation finds. */
export function readDocument(text: string, operationName: string | undefined, production: boolean): ReadDocument | readonly GraphQLError[] {
  if (text.length > CHARACTERS_MAX) return [new GraphQLError(`A document may have ${CHARACTERS_MAX} characters`)];
  let document: DocumentNode;
  try {
    document = parseTolerantly(text);
  } catch (error) {
    return [error instanceof GraphQLError ? error : new GraphQLError('The document cannot be read')];
  }
  const rules = production ? [...specifiedRules, NoSchemaIntrospectionCustomRule] : specifiedRules;
  const faults = validate(schema, document, rules, { maxErrors: 20 });
  if (faults.length > 0) return faults;
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const operation = operationName === undefined ? (operations.length === 1 ? operations[0] : undefined) : operations.find(({ name }) => name?.value === operationName);
  if (operation === undefined) return [new GraphQLError(operationName === undefined ? 'operationName says which of several operations is meant' : 'There is no operation of this name')];
  if (operation.operation === OperationTypeNode.SUBSCRIPTION) return [new GraphQLError('Subscriptions are not offered')];
  const fragments = new Map(document.definitions.flatMap((definition) => (definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [])));
  try {
    measure(operation.selectionSet, fragments, { depth: 0, fields: 0 }, 1);
  } catch (error) {
    return [error as GraphQLError];
  }
  if (rootFields(operation.selectionSet, fragments) > ROOTS_MAX) return [new GraphQLError(`A request may have ${ROOTS_MAX} fields at its root, aliases counted`)];
  return { document, operation };
}
