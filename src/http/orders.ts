import type { Request, RequestHandler, Response } from 'express';
import type { CancelOrder } from '../application/cancel-order';
import type { PlaceOrder } from '../application/place-order';
import type { Cause } from '../application/ports';
import type { FindOrder, ListOrders } from '../application/read-orders';
import type { Order } from '../domain/order';
import { encodeCursor } from './cursor';
import { etagOf } from './entity-tags';
import { problem, sendProblem, type Problem } from './problems';
import { readCancelling, readListing, readOrderId, readPlacing } from './validation';

export interface OrderUseCases {
  readonly placeOrder: PlaceOrder;
  readonly cancelOrder: CancelOrder;
  readonly findOrder: FindOrder;
  readonly listOrders: ListOrders;
}

const unknownTicket = problem(404, 'unknown-ticket', 'There is no such ticket', 'ticketId');
const unknownOrder = problem(404, 'unknown-order', 'There is no such order');
const reserved = problem(409, 'ticket-reserved', 'Ticket is already reserved');
const reservedElsewhere = problem(409, 'reserved-elsewhere', 'Ticket is reserved elsewhere');
const priceChanged = problem(409, 'price-changed', 'The price of the ticket has changed', 'price');
const alreadyPaid = problem(409, 'already-paid', 'Order is already paid');
const preconditionFailed = problem(412, 'precondition-failed', 'The order has changed since', 'If-Match');
const keyReused = problem(
  422,
  'key-reused',
  'The key was used for another request; a new request needs a new key',
  'Idempotency-Key',
);

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
    const { orders, next } = await useCases.listOrders({ userId: userIdOf(req), ...query });
    if (next) {
      const more = new URLSearchParams({
        ...(query.status === undefined ? {} : { status: query.status }),
        limit: String(query.limit),
        cursor: encodeCursor(next),
      });
      res.set('Link', `<${basePath || '/'}?${more.toString()}>; rel="next"`);
    }
    res.set('Cache-Control', 'private, no-store').json(orders.map(toBody));
  };

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
