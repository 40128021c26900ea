// Collects the faults of one resource, each with the place where the walk stands.
import { issueOf, type ErrorDetail, type Issue } from '../fhir/fhir-error.ts';

/** More do not help a person, and one body could hold tens of thousands. */
const ISSUES_MAX = 100;
/** No element of R4 has another name, and others cannot stand in a FHIRPath without quotes: the expression ends before them. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

export class IssueList {
  private readonly errors: Issue[] = [];
  private readonly warnings: Issue[] = [];
  /** Names and indexes from the resource's type to the element that is being looked at. */
  private readonly place: (string | number)[];

  constructor(type: string) {
    this.place = [type];
  }

  enter(step: string | number): void {
    this.place.push(step);
  }

  leave(): void {
    this.place.pop();
  }

  /** `text` continues a sentence that begins with the place: "must be a string; a number was found". */
  add(detail: ErrorDetail, text: string): void {
    if (this.errors.length < ISSUES_MAX) this.errors.push(this.issue(detail, text));
  }

  /** As `add`, of what refuses nothing. */
  warn(detail: ErrorDetail, text: string): void {
    if (this.warnings.length < ISSUES_MAX) this.warnings.push({ ...this.issue(detail, text), severity: 'warning' });
  }

  /** No further error is kept. */
  get isFull(): boolean {
    return this.errors.length >= ISSUES_MAX;
  }

  /** Errors, then warnings, each in the order in which they were found. */
  all(): Issue[] {
    return [...this.errors, ...this.warnings];
  }

  /** A fault of a property below this place. */
  addBelow(property: string, detail: ErrorDetail, text: string): void {
    this.enter(property);
    this.add(detail, text);
    this.leave();
  }

  private issue(detail: ErrorDetail, text: string): Issue {
    const expression = this.expression();
    return issueOf(detail, `${expression} ${text}`, expression);
  }

  private expression(): string {
    const odd = this.place.findIndex((step) => typeof step === 'string' && !PLAIN_NAME.test(step));
    const steps = odd < 0 ? this.place : this.place.slice(0, odd);
    return steps.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('').slice(1);
  }
}
