// What a store that cannot be reached means for whoever asked us.
import { fhirError, type FhirError } from '../../fhir/fhir-error.ts';
import { StoreConnectionError } from './store-silence.ts';

/** The store cannot be used now; nothing was kept. */
export function unreachable(cause: unknown): FhirError {
  return fhirError('unavailable', 'The store of bytes cannot be used now', { cause, headers: { 'Retry-After': '10' } });
}

/** Failures of the connection become `unavailable`; what the source of a body raised passes as it is. */
export async function reaching<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) { throw error instanceof StoreConnectionError ? unreachable(error) : error; }
}

/** The same for what comes one after the other. */
export async function* reachingItems<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* items;
  } catch (error) { throw error instanceof StoreConnectionError ? unreachable(error) : error; }
}
