import type { Request, RequestHandler, Response } from 'express';
import type { CancelOrder } from '../application/cancel-order';
import type { PlaceOrder } from '../application/place-order';
import type { Cause } from '../application/ports';
import type { AwaitOrder, FindOrder, ListOrders } from '../application/read-orders';
import type { Order } from '../domain/order';
import { encodeCursor } from './cursor';
import { etagOf, hashTagOf, namesTag } from './entity-tags';
import { problem, sendProblem, type Problem } from './problems';
import { sendTagged } from './tagged';
import { readCancelling, readListing, readOrderId, readPlacing, readWait, type Listing } from './validation';

export interface OrderUseCases {
  readonly placeOrder: PlaceOrder;
  readonly cancelOrder: CancelOrder;
  readonly findOrder: FindOrder;
  readonly awaitOrder: AwaitOrder;
  readonly listOrders: ListOrders;
}

/** May be kept by the client, which must ask whether it still holds. */
const FOR_THE_USER = 'private, no-cache';

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
    sendTagged(req, res, { tag: hashTagOf(body), body, cacheControl: FOR_THE_USER });
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
    const query = { userId: userIdOf(req), orderId };
    const seconds = readWait(req);
    const order = await (seconds === undefined
      ? useCases.findOrder(query)
      : useCases.awaitOrder({ ...query, ...waitOf(req, res), seconds }));
    if (!order) return sendProblem(res, unknownOrder);
    const body = JSON.stringify(toBody(order));
    sendTagged(req, res, { tag: etagOf(order.version), body, cacheControl: FOR_THE_USER });
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

/** Its time is no measure of how fast the service answers: it has a route of its own in metrics and the log. */
function waitOf(req: Request, res: Response): Pick<Parameters<AwaitOrder>[0], 'isKnown' | 'signal'> {
  req.routeTemplate = `${req.routeTemplate ?? ''}?wait`;
  const disconnected = new AbortController();
  res.once('close', () => disconnected.abort());
  const tags = req.headers['if-none-match'];
  const isKnown = (version: number) => tags === undefined || namesTag(tags, etagOf(version));
  return { isKnown, signal: disconnected.signal };
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
