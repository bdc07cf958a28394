import type { Request, RequestHandler, Response } from 'express';
import type { CancelOrder } from '../application/cancel-order';
import type { PlaceOrder } from '../application/place-order';
import type { Cause } from '../application/ports';
import type { FindOrder, ListOrders } from '../application/read-orders';
import type { Order } from '../domain/order';
import { encodeCursor } from './cursor';
import { etagOf, hashTagOf } from './entity-tags';
import { problem, sendProblem, type Problem } from './problems';
import { readCancelling, readListing, readOrderId, readPlacing, type Listing } from './validation';

export interface OrderUseCases {
  readonly placeOrder: PlaceOrder;
  readonly cancelOrder: CancelOrder;
  readonly findOrder: FindOrder;
  readonly listOrders: ListOrders;
}

const unknownTicket = problem('unknown-ticket', 'ticketId');
const unknownOrder = problem('unknown-order');
const reserved = problem('ticket-reserved');
const reservedElsewhere = problem('reserved-elsewhere');
const priceChanged = problem('price-changed', 'price');
const tooManyOpenOrders = problem('too-many-open-orders');
const alreadyPaid = problem('already-paid');
const preconditionFailed = problem('precondition-failed', 'If-Match');
const keyReused = problem('key-reused', 'Idempotency-Key');

/** Handlers after sign-in and validation. They translate HTTP and decide nothing. */
export function createOrderHandlers(useCases: OrderUseCases, basePath: string) {
  const locationOf = (orderId: string) => `${basePath}/${orderId}`;

  const place: RequestHandler = async (req, res) => {
    const result = await useCases.placeOrder({
      userId: userIdOf(req),
      cause: causeOf(req),
      ...readPlacing(req),
    });
    switch (result.type) {
      case 'placed':
      case 'replayed':
        req.orderId = result.order.id;
        res.status(201).set({
          Location: locationOf(result.order.id),
          ETag: etagOf(result.order.version),
          'Cache-Control': 'private, no-store',
        });
        res.json(toBody(result.order));
        return;
      case 'unknown-ticket':
        return sendProblem(res, unknownTicket);
      case 'reserved':
        return sendProblem(res, reservedBy(result.ownOrderId));
      case 'reserved-elsewhere':
        return sendProblem(res, reservedElsewhere);
      case 'price-changed':
        return sendProblem(res, { ...priceChanged, extensions: { price: result.price } });
      case 'too-many-open-orders':
        return sendProblem(res, tooManyOpenOrders);
      case 'key-reused':
        return sendProblem(res, keyReused);
    }
  };

  /** Names only the caller's own order: the second click of a double click gets the order of the first. */
  function reservedBy(orderId: string | undefined): Problem {
    return orderId === undefined
      ? reserved
      : { ...reserved, extensions: { orderId }, headers: { Location: locationOf(orderId) } };
  }

  const list: RequestHandler = async (req, res) => {
    const query = readListing(req);
    const { orders, next, total } = await useCases.listOrders({ userId: userIdOf(req), ...query });
    if (next) res.set('Link', `<${nextPage(query, encodeCursor(next))}>; rel="next"`);
    if (total !== undefined) res.set('X-Total-Count', String(total));
    const body = JSON.stringify(orders.map(toBody));
    // Express itself answers 304 if If-None-Match names the tag.
    res
      .set({ ETag: hashTagOf(body), 'Cache-Control': 'private, no-cache' })
      .type('json')
      .send(body);
  };

  /** With all filters of this page. */
  function nextPage({ ticketId, statuses = [], withTotal, limit }: Listing, cursor: string): string {
    const query = new URLSearchParams({
      ...(ticketId === undefined ? {} : { ticketId }),
      ...(withTotal ? { total: 'true' } : {}),
      limit: String(limit),
      cursor,
    });
    for (const status of statuses) query.append('status', status);
    return `${basePath || '/'}?${query.toString()}`;
  }

  const show: RequestHandler = async (req, res) => {
    const orderId = takeOrderId(req);
    const order = await useCases.findOrder({ userId: userIdOf(req), orderId });
    if (!order) return sendProblem(res, unknownOrder);
    // Express itself answers 304 if If-None-Match names the tag.
    res.set({ ETag: etagOf(order.version), 'Cache-Control': 'private, no-cache' }).json(toBody(order));
  };

  const cancel: RequestHandler = async (req, res) => {
    const orderId = takeOrderId(req);
    switch (
      await useCases.cancelOrder({
        userId: userIdOf(req),
        cause: causeOf(req),
        orderId,
        ...readCancelling(req),
      })
    ) {
      case 'cancelled':
        return noContent(res);
      case 'precondition-failed':
        return sendProblem(res, preconditionFailed);
      case 'not-found':
        return sendProblem(res, unknownOrder);
      case 'already-paid':
        return sendProblem(res, alreadyPaid);
    }
  };

  return { place, list, show, cancel };
}

function noContent(res: Response): void {
  res.status(204).end();
}

function takeOrderId(req: Request): string {
  const orderId = readOrderId(req);
  req.orderId = orderId;
  return orderId;
}

function causeOf({ id }: Request): Cause {
  return { type: 'request', requestId: id as string };
}

function userIdOf({ session }: Request): string {
  if (!session) throw new Error('a route of orders has no sign-in before it');
  return session.userId;
}

function toBody(order: Order): object {
  const { id, version, status, reason, userId, expiresAt, createdAt, ticket } = order;
  return {
    id,
    version,
    status,
    reason,
    userId,
    expiresAt,
    createdAt,
    ticket: { id: ticket.id, title: ticket.title, price: ticket.price },
  };
}
