// What an event is indexed by, told from its shape and its values without reading its text as JSON: the shape is read once.
import type { AccessAgent, AccessEntity, AccessEvent } from './access-event.ts';
import { joinParts, openShape, PARTS_UNIT, type OpenShape, type RowInstant } from './shaped-text.ts';

/** The members that columns and index rows are made of, of an event that wrote nothing. */
export type ReadEvent = Pick<AccessEvent, 'layout' | 'action' | 'interaction' | 'outcome' | 'org' | 'requestId' | 'agent' | 'entities' | 'id' | 'recorded'>;

/** Makes the event of a row; undefined for values that are not plain in JSON. */
export type EventMaker = (row: RowInstant, parts: string) => ReadEvent | undefined;

/** A value with one of these would end its string, or be another one than it looks like. */
const isPlain = (parts: string): boolean => !parts.includes('"') && !parts.includes('\\');

type Fill = (values: readonly string[]) => string | undefined;

function fillOf(template: string): Fill {
  const open = openShape(template);
  const [place] = open.places;
  if (place === undefined) return () => open.literals[0];
  return open.places.length === 1 && open.literals.every((literal) => literal === '') ? (values) => values[place] : (values) => joinParts(open, values);
}

const holdsPlace = (value: unknown): boolean => /%(?:\d+\$s|%)/.test(JSON.stringify(value));

/** Members that must be the same in all events of the shape. */
function isFixed({ action, interaction, layout, org, outcome }: AccessEvent): boolean {
  return typeof layout === 'number' && typeof outcome === 'number' && [action, interaction, org].every((value) => typeof value === 'string' && !holdsPlace(value));
}

function namesHoldPlaces(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  return Object.entries(value).some(([name, member]) => name.includes('%') || namesHoldPlaces(member));
}

/** A number of an event's own stands bare in the shape. */
const BARE = /(?<!\\)":%(\d+)\$s/g;
const DIGITS = /^\d+$/;

function readShape(text: string): AccessEvent | undefined {
  try {
    const event = JSON.parse(text.replace(BARE, '":"%$1$$s"')) as AccessEvent;
    const plain = isFixed(event) && !namesHoldPlaces(event) && event.id === '%1$s' && event.recorded === '%2$s' && typeof event.requestId === 'string';
    return plain && event.write === undefined && event.purge === undefined && Array.isArray(event.entities) && event.agent instanceof Object ? event : undefined;
  } catch { return undefined; }
}

/** undefined for shapes of writes and with long lists: their texts are read. */
export function eventMaker(shape: string): EventMaker | undefined {
  const pattern = readShape(shape);
  if (pattern === undefined) return undefined;
  const { action, agent, interaction, layout, org, outcome } = pattern;
  const fills = { requestId: fillOf(pattern.requestId), user: agent.user === undefined ? undefined : fillOf(agent.user), subject: agent.subject === undefined ? undefined : fillOf(agent.subject), client: agent.client === undefined ? undefined : fillOf(agent.client) };
  const numbers = [...shape.matchAll(BARE)].map(([, place]) => Number(place) - 1);
  const entities = pattern.entities.map(({ reference, role }) => ({ fill: fillOf(reference), role }));
  return ({ id, recorded }, parts) => {
    if (!isPlain(parts)) return undefined;
    const values = [id, recorded, ...parts.split(PARTS_UNIT)];
    if (!numbers.every((place) => DIGITS.test(values[place] ?? ''))) return undefined;
    const requestId = fills.requestId(values);
    if (requestId === undefined) return undefined;
    const who: AccessAgent = {};
    const [user, subject, client] = [fills.user?.(values), fills.subject?.(values), fills.client?.(values)];
    if (user !== undefined) who.user = user;
    if (subject !== undefined) who.subject = subject;
    if (client !== undefined) who.client = client;
    const touched: AccessEntity[] = [];
    for (const { fill, role } of entities) touched.push({ reference: fill(values) ?? '', role });
    return { layout, action, interaction, outcome, org, requestId, agent: who, entities: touched, id, recorded };
  };
}

/** A shape as whoever reads many events uses it. */
export interface KnownShape {
  open: OpenShape;
  event: EventMaker | undefined;
}

export const knownShape = (text: string): KnownShape => ({ open: openShape(text), event: eventMaker(text) });
