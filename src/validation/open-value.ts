// What FHIR JSON demands of any element, for resources of which no table is known (http://hl7.org/fhir/R4/json.html).
import { isJsonObject, type JsonValue } from '../fhir/json.ts';
import type { IssueList } from './issue-list.ts';

/** Nothing is empty, and null pads arrays only. `list` stands at the element. */
export function openValueFaults(value: JsonValue, list: IssueList): void {
  if (value === '') list.add('structure', 'may not be an empty string');
  else if (value === null) list.add('structure', 'may not be null');
  else if (Array.isArray(value)) itemFaults(value, list);
  else if (isJsonObject(value)) memberFaults(Object.entries(value), list);
}

function itemFaults(items: JsonValue[], list: IssueList): void {
  if (items.every((item) => item === null)) list.add('structure', 'may not be an empty array');
  for (const [index, item] of items.entries()) {
    if (item === null) continue;
    list.enter(index);
    openValueFaults(item, list);
    list.leave();
  }
}

function memberFaults(members: [string, JsonValue][], list: IssueList): void {
  if (members.length === 0) list.add('structure', 'may not be an empty object');
  for (const [name, value] of members) {
    list.enter(name);
    openValueFaults(value, list);
    list.leave();
  }
}
