import { mongo } from 'mongoose';

export type Document = Record<string, unknown> & { _id: unknown };
export type Filter = Record<string, unknown>;
export type Update = Record<string, Record<string, unknown>>;

/**
 * As much of MongoDB's query language as the service speaks; whatever is not known here is refused. A general one takes
 * most of a simulation's time; `query.test.ts` compares this one with it.
 */
export function matches(document: Document, filter: Filter): boolean {
  for (const path in filter) {
    const holds =
      path === '$or'
        ? (filter[path] as Filter[]).some((one) => matches(document, one))
        : satisfies(at(document, path), filter[path]);
    if (!holds) return false;
  }
  return true;
}

function satisfies(value: unknown, condition: unknown): boolean {
  if (!hasOperators(condition)) return compare(value, condition) === 0;
  for (const operator in condition) if (!operatorOf(operator)(value, condition[operator])) return false;
  return true;
}

type Operator = (value: unknown, operand: unknown) => boolean;

const OPERATORS: Record<string, Operator> = {
  $in: (value, operand) => (operand as unknown[]).some((one) => compare(value, one) === 0),
  $gt: (value, operand) => compare(value, operand) > 0,
  $gte: (value, operand) => compare(value, operand) >= 0,
  $lt: (value, operand) => compare(value, operand) < 0,
  $lte: (value, operand) => compare(value, operand) <= 0,
};

function operatorOf(name: string): Operator {
  const operator = OPERATORS[name];
  if (!operator) throw new TypeError(`no such operator here: ${name}`);
  return operator;
}

function hasOperators(condition: unknown): condition is Record<string, unknown> {
  if (!isObject(condition)) return false;
  for (const key in condition) return key.startsWith('$');
  return false;
}

/** NaN where two values are of different types: none of them is more than the other. */
export function compare(a: unknown, b: unknown): number {
  const left = comparable(a);
  const right = comparable(b);
  if (left === right) return 0;
  if (typeof left !== typeof right || left === null || right === null) return NaN;
  return left < right ? -1 : 1;
}

/** What is not there is null. */
function comparable(value: unknown): string | number | boolean | null {
  if (value instanceof mongo.ObjectId) return value.toHexString();
  if (value instanceof Date) return value.getTime();
  return (value ?? null) as string | number | boolean | null;
}

export function at(document: object, path: string): unknown {
  let value: unknown = document;
  for (const key of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[key];
  return value;
}

/** Changes the document itself. */
export function applyUpdate(document: Document, update: Update): void {
  for (const operator in update) {
    const change = changeOf(operator);
    for (const path in update[operator]) {
      const keys = path.split('.');
      const last = keys.pop()!;
      const parent = keys.reduce<Record<string, unknown>>(
        (object, key) => (object[key] ??= {}) as Record<string, unknown>,
        document,
      );
      change(parent, last, update[operator][path]);
    }
  }
}

type ChangeField = (parent: Record<string, unknown>, key: string, operand: unknown) => void;

const CHANGES: Record<string, ChangeField> = {
  $set: (parent, key, operand) => (parent[key] = operand),
  $unset: (parent, key) => delete parent[key],
  $inc: (parent, key, operand) => (parent[key] = ((parent[key] ?? 0) as number) + (operand as number)),
  $push: (parent, key, operand) => {
    const { $each } = operand as { $each: unknown[] };
    parent[key] = [...((parent[key] ?? []) as unknown[]), ...$each];
  },
};

function changeOf(name: string): ChangeField {
  const change = CHANGES[name];
  if (!change) throw new TypeError(`no such operator here: ${name}`);
  return change;
}

/** Of plain objects and arrays; ids and dates are never changed. */
export function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T;
  if (!isObject(value)) return value;
  const copied: Record<string, unknown> = {};
  for (const key in value) copied[key] = copy((value as Record<string, unknown>)[key]);
  return copied as T;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
