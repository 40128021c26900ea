// Ranges of addresses in CIDR notation (RFC 4632, RFC 4291 2.3), and whether an address lies in one of them. Pure.
import { BlockList, isIP } from 'node:net';

/** IPv4 as it reaches a socket that listens for both (RFC 4291 2.5.5.2). */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const BITS: Record<number, number> = { 4: 32, 6: 128 };

/** The address as the record shows it: without a zone, IPv4 in its own form. */
function plainAddress(address: string): string {
  const [bare = ''] = address.split('%');
  return MAPPED.exec(bare)?.[1] ?? bare;
}

interface AddressRange {
  address: string;
  family: 'ipv4' | 'ipv6';
  prefix: number;
}

function parse(text: string): AddressRange | undefined {
  const [given = '', length, ...more] = text.split('/');
  const version = isIP(given);
  const bits = BITS[version];
  if (bits === undefined || more.length > 0 || given.includes('%')) return undefined;
  if (length !== undefined && !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits) return undefined;
  const address = plainAddress(given);
  if (address === given) return { address, family: version === 6 ? 'ipv6' : 'ipv4', prefix };
  return prefix < 96 ? undefined : { address, family: 'ipv4', prefix: prefix - 96 };
}

/** 192.0.2.0/24, 2001:db8::/32, or one address alone. */
export function isAddressRange(text: string): boolean {
  return parse(text) !== undefined;
}

/** No ranges hold every address; an address that is not known lies in none. */
export function liesWithin(ranges: readonly string[], address: string | undefined): boolean {
  if (ranges.length === 0) return true;
  const plain = plainAddress(address ?? '');
  const version = isIP(plain);
  if (version === 0) return false;
  const list = new BlockList();
  for (const range of ranges.map(parse)) if (range !== undefined) list.addSubnet(range.address, range.prefix, range.family);
  return list.check(plain, version === 6 ? 'ipv6' : 'ipv4');
}
