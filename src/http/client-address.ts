// The address of a client for the record and for the bound of refusals: the peer of the socket, or, behind proxies that the
// configuration trusts, the one that they forward (X-Forwarded-For; Forwarded, RFC 7239). Of strangers these headers say nothing.
import { BlockList, isIP } from 'node:net';

/** `addresses` are single ones or ranges such as 10.0.0.0/8; they were checked when the configuration was read. */
export function trustedProxies(addresses: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of addresses) {
    const [address = '', prefix] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** Goes back from the peer, proxy by proxy, to the first address that is no trusted proxy. What is no address ends the way. */
export function clientAddress(peer: string | undefined, header: (name: string) => string | undefined, trusted: BlockList): string | undefined {
  let address = peer;
  const hops = forwardedFor(header);
  while (address !== undefined && isTrusted(address, trusted)) {
    const before = hops.pop();
    if (before === undefined) return address;
    if (isIP(before) === 0) return address;
    address = before;
  }
  return address;
}

function isTrusted(address: string, trusted: BlockList): boolean {
  const family = isIP(address);
  return family !== 0 && trusted.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Whether a proxy that is trusted says that the client came to it without TLS (X-Forwarded-Proto; Forwarded, RFC 7239). Of several proxies the first one is asked, which the client came to. */
export function cameInClear(peer: string | undefined, header: (name: string) => string | undefined, trusted: BlockList): boolean {
  if (peer === undefined || !isTrusted(peer, trusted)) return false;
  const plain = header('x-forwarded-proto')?.split(',')[0];
  const protocol = plain ?? /(?:^|;)\s*proto\s*=\s*"?([A-Za-z]+)"?/i.exec((header('forwarded') ?? '').split(',')[0] ?? '')?.[1];
  return protocol !== undefined && /^(?:http|ws)$/i.test(protocol.trim());
}

/** The nearest proxy's word is the last one. */
function forwardedFor(header: (name: string) => string | undefined): string[] {
  const plain = header('x-forwarded-for');
  if (plain !== undefined) return plain.split(',').map((one) => withoutPort(one.trim()));
  const nodes = (header('forwarded') ?? '').split(',').map((element) => /(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;\s]*))/i.exec(element));
  return nodes.flatMap((match) => (match === null ? [] : [withoutPort(match[1] ?? match[2] ?? '')]));
}

/** [2001:db8::1]:4711, 192.0.2.1:4711 */
function withoutPort(node: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(node)?.[1];
  return bracketed ?? (/^[^:]*:\d+$/.test(node) ? node.slice(0, node.indexOf(':')) : node);
}
