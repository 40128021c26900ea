// Who did something, as the record has it: `issuer|subject|client` in members.

export function personOf(by: string): { issuer: string; subject: string; client: string } {
  const [issuer = '', subject = '', client = ''] = by.split('|');
  return { issuer, subject, client };
}

/** One person, whatever client they came with. */
export const isSamePerson = (one: string, other: string): boolean => {
  const [a, b] = [personOf(one), personOf(other)];
  return a.issuer === b.issuer && a.subject === b.subject;
};
