// An answer other than the expected one is an error of the measurement, told with its status and first words.
import type { Call, Connections, Reply } from './keep-alive.ts';

/** The answer when it has that status. */
export async function expectReply(connections: Connections, call: Call, status: number): Promise<Reply> {
  const reply = await connections.call(call);
  if (reply.status !== status) throw new Error(`HTTP ${reply.status}${reply.text === undefined ? '' : ` ${reply.text.slice(0, 200)}`}`);
  return reply;
}

/** The absolute address of what was created, without its version. */
export function createdUrl(reply: Reply, base: string): string {
  const location = reply.headers.location;
  if (location === undefined) throw new Error('The answer to a create has no Location');
  return new URL(location, base).href.replace(/\/_history\/[^/]+$/, '');
}
