// FHIR JSON has no null and no empty element (R4 json.html 2.6.2): a member without a value is left out.

/** `T` with each member that may be undefined made optional instead. */
export type WithoutUndefined<T> =
  & { [K in keyof T as undefined extends T[K] ? never : K]: T[K] }
  & { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> };

/** The members that have a value, in their order. */
export function withoutUndefined<T extends object>(members: T): WithoutUndefined<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as WithoutUndefined<T>;
}

/** A list that is left out when it is empty. */
export function notEmpty<T>(list: T[]): T[] | undefined {
  return list.length === 0 ? undefined : list;
}
