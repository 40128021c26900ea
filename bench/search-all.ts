// Every declared search of DocumentReference over many documents, one client, pages of 20: p50, p95 and p99 of each.
import { quantile, runClosedLoop } from './closed-loop.ts';
import { expectReply } from './expected-reply.ts';
import { openConnections } from './keep-alive.ts';
import { openLoadedServer } from './loaded-server.ts';
import { searchQueries } from './search-queries.ts';

export interface SearchTime {
  query: string;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  errors: Record<string, number>;
}

export interface SearchAllResult {
  scenario: 'search-all';
  documents: number;
  loadSeconds: number;
  searches: SearchTime[];
}

const REQUESTS = 100;

export async function runSearchAll(documents: number, tell: (time: SearchTime) => void): Promise<SearchAllResult> {
  const { base, token, loadSeconds, close } = await openLoadedServer('search', documents);
  const connections = openConnections(1);
  try {
    const bearer = await token();
    const searches: SearchTime[] = [];
    for (const { name, urlOf } of searchQueries(documents)) {
      let turn = 0;
      const work = async (): Promise<void> => {
        turn += 1;
        await expectReply(connections, { method: 'GET', url: `${base}/${urlOf(turn)}`, headers: { authorization: `Bearer ${bearer}`, accept: 'application/fhir+json' } }, 200);
      };
      await runClosedLoop({ clients: 1, seconds: 5, countMax: 10 }, work);
      const { latencies, errors } = await runClosedLoop({ clients: 1, seconds: 20, countMax: REQUESTS }, work);
      const time = { query: name, p50Ms: quantile(latencies, 0.5), p95Ms: quantile(latencies, 0.95), p99Ms: quantile(latencies, 0.99), errors };
      searches.push(time);
      tell(time);
    }
    return { scenario: 'search-all', documents, loadSeconds, searches };
  } finally {
    connections.close();
    await close();
  }
}
