// Contained resources and what refers to them (http://hl7.org/fhir/R4/references.html#contained; ref-1 and dom-3).
import { isJsonObject, type JsonObject } from '../fhir/json.ts';
import { invariantNamed } from './invariants/invariants.ts';
import type { IssueList } from './issue-list.ts';

/** What is known, while a resource is walked, of its contained resources and of the references to them. */
export class ContainerScope {
  readonly container: JsonObject;
  /** The contained resource that is being walked. */
  inside: JsonObject | undefined;
  private byId: ReadonlyMap<string, JsonObject> | undefined;
  private readonly referred = new Set<string>();
  /** Contained resources that refer back to the container by `#`. */
  private readonly referringBack = new Set<JsonObject>();

  constructor(container: JsonObject) {
    this.container = container;
  }

  /** Notes a Reference.reference, canonical, uri or url when it is local. */
  refer(text: string): void {
    if (text.charCodeAt(0) !== 0x23) return;
    if (text !== '#') this.referred.add(text.slice(1));
    else if (this.inside !== undefined) this.referringBack.add(this.inside);
  }

  /** Whether `#id` names a contained resource; `#`, the container itself, is for contained resources alone. */
  resolves(local: string): boolean {
    return local === '#' ? this.inside !== undefined : this.contained().has(local.slice(1));
  }

  /** The resource type that `#id` or `#` names; undefined when it names none. */
  targetType(local: string): string | undefined {
    const type = (local === '#' ? this.container : this.contained().get(local.slice(1)))?.['resourceType'];
    return typeof type === 'string' ? type : undefined;
  }

  /** By id, the first of each; made once, for there may be thousands, and as many references to them. */
  private contained(): ReadonlyMap<string, JsonObject> {
    if (this.byId !== undefined) return this.byId;
    const { contained } = this.container;
    const resources = Array.isArray(contained) ? contained.filter(isJsonObject) : [];
    this.byId = new Map(resources.reverse().flatMap((resource) => (typeof resource['id'] === 'string' ? [[resource['id'], resource] as const] : [])));
    return this.byId;
  }

  /** Whether something refers to this contained resource, or it to the container. */
  isReferred(resource: JsonObject): boolean {
    return this.referringBack.has(resource) || (typeof resource['id'] === 'string' && this.referred.has(resource['id']));
  }
}

/** dom-3, once all of the container was walked. `list` stands at the container. */
export function containedFaults(scope: ContainerScope, list: IssueList): void {
  const { contained } = scope.container;
  if (!Array.isArray(contained)) return;
  list.enter('contained');
  for (const [index, resource] of contained.entries()) {
    // What is no resource is told of already.
    if (!isJsonObject(resource) || resource['resourceType'] === undefined || scope.isReferred(resource)) continue;
    list.enter(index);
    list.add('invariant', `${invariantNamed('dom-3').text} (dom-3)`);
    list.leave();
  }
  list.leave();
}
