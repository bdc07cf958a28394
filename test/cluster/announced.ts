import type { Stored } from '../support/nats-peer';
import type { Sales } from './peer';

/**
 * What is wrong with the events of these tickets: every order and every cancellation has its event and no other is
 * there, repeats are equal to the byte, and first occurrences come in the order in which it happened.
 */
export function wrongEvents(tickets: readonly Sales[], heard: readonly Stored[]): string[] {
  const occurrences = new Map<string, Stored[]>();
  for (const one of heard) {
    const event = `${one.subject} ${JSON.parse(one.text).id}`;
    occurrences.set(event, [...(occurrences.get(event) ?? []), one]);
  }
  const firstAt = (event: string) => Math.min(...(occurrences.get(event) ?? []).map(({ at }) => at));
  const ticketOf = (event: string) => JSON.parse(occurrences.get(event)![0]!.text).ticket.id;

  return tickets.flatMap((sales) => {
    const expected = eventsOf(sales);
    const found = [...occurrences.keys()].filter((event) => ticketOf(event) === sales.ticketId);
    const isRepeatedInOtherWords = (event: string) =>
      new Set(occurrences.get(event)?.map(({ text }) => text)).size > 1;
    return [
      ...without(expected, found).map((event) => `${event} was not announced`),
      ...without(found, expected).map((event) => `${event} is of no such order`),
      ...expected.filter(isRepeatedInOtherWords).map((event) => `${event} was repeated in other words`),
      ...expected
        .filter((event, i) => i > 0 && firstAt(expected[i - 1]!) > firstAt(event))
        .map((event) => `${event} was announced before what had happened before it`),
    ];
  });
}

function eventsOf({ orders }: Sales): string[] {
  return orders.flatMap(({ id, cancelled }) => [
    `order:created ${id}`,
    ...(cancelled ? [`order:cancelled ${id}`] : []),
  ]);
}

function without(events: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return events.filter((event) => !known.has(event));
}
