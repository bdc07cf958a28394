function stryNS_9fa48() {
  var g = typeof globalThis === 'object' && globalThis && globalThis.Math === Math && globalThis || new Function("return this")();
  var ns = g.__stryker__ || (g.__stryker__ = {});
  if (ns.activeMutant === undefined && g.process && g.process.env && g.process.env.__STRYKER_ACTIVE_MUTANT__) {
    ns.activeMutant = g.process.env.__STRYKER_ACTIVE_MUTANT__;
  }
  function retrieveNS() {
    return ns;
  }
  stryNS_9fa48 = retrieveNS;
  return retrieveNS();
}
stryNS_9fa48();
function stryCov_9fa48() {
  var ns = stryNS_9fa48();
  var cov = ns.mutantCoverage || (ns.mutantCoverage = {
    static: {},
    perTest: {}
  });
  function cover() {
    var c = cov.static;
    if (ns.currentTestId) {
      c = cov.perTest[ns.currentTestId] = cov.perTest[ns.currentTestId] || {};
    }
    var a = arguments;
    for (var i = 0; i < a.length; i++) {
      c[a[i]] = (c[a[i]] || 0) + 1;
    }
  }
  stryCov_9fa48 = cover;
  cover.apply(null, arguments);
}
function stryMutAct_9fa48(id) {
  var ns = stryNS_9fa48();
  function isActive(id) {
    if (ns.activeMutant === id) {
      if (ns.hitCount !== void 0 && ++ns.hitCount > ns.hitLimit) {
        throw new Error('Stryker: Hit count limit reached (' + ns.hitCount + ')');
      }
      return true;
    }
    return false;
  }
  stryMutAct_9fa48 = isActive;
  return isActive(id);
}
import type { OrderEvent, RefundReason } from './events';
import type { Ticket } from './ticket';

/** `awaiting:payment` is known on the wire but never set here; it is treated like `created`. */
export const ORDER_STATUSES = ['created', 'awaiting:payment', 'complete', 'cancelled'] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];
export type CancelReason = 'user' | 'expired';
export interface Payment {
  readonly id: string;
  readonly stripeId: string;
  /** When the broker took the payment's message. */
  readonly at: Date;
  /** Set when the order could not keep this payment. */
  readonly refund?: RefundReason;
}
export interface Order {
  readonly id: string;
  /** The number of changes since the order was placed. */
  readonly version: number;
  readonly userId: string;
  readonly status: OrderStatus;
  readonly reason?: CancelReason;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** The ticket as the buyer saw it; later updates of the ticket do not change it. */
  readonly ticket: {
    readonly id: string;
    readonly title: string;
    readonly price: number;
  };
  readonly payments: readonly Payment[];
}
export type OrderInput = {
  readonly type: 'cancel';
} | {
  readonly type: 'expire';
} | {
  readonly type: 'pay';
  readonly payment: Omit<Payment, 'refund'>;
};
export type Decision = {
  readonly type: 'changed';
  readonly order: Order;
  readonly events: readonly OrderEvent[];
} | {
  readonly type: 'unchanged';
} | {
  readonly type: 'refused';
  readonly reason: 'already-paid';
};
const UNCHANGED: Decision = stryMutAct_9fa48("0") ? {} : (stryCov_9fa48("0"), {
  type: stryMutAct_9fa48("1") ? "" : (stryCov_9fa48("1"), 'unchanged')
});

/** A new order and its announcement. */
export function place(request: {
  id: string;
  userId: string;
  ticket: Ticket;
  now: Date;
  expirationWindowSeconds: number;
}): {
  order: Order;
  events: readonly OrderEvent[];
} {
  if (stryMutAct_9fa48("2")) {
    {}
  } else {
    stryCov_9fa48("2");
    const {
      id,
      userId,
      ticket,
      now
    } = request;
    const order: Order = stryMutAct_9fa48("3") ? {} : (stryCov_9fa48("3"), {
      id,
      version: 0,
      userId,
      status: stryMutAct_9fa48("4") ? "" : (stryCov_9fa48("4"), 'created'),
      createdAt: now,
      expiresAt: new Date(stryMutAct_9fa48("5") ? now.getTime() - request.expirationWindowSeconds * 1000 : (stryCov_9fa48("5"), now.getTime() + (stryMutAct_9fa48("6") ? request.expirationWindowSeconds / 1000 : (stryCov_9fa48("6"), request.expirationWindowSeconds * 1000)))),
      ticket: stryMutAct_9fa48("7") ? {} : (stryCov_9fa48("7"), {
        id: ticket.id,
        title: ticket.title,
        price: ticket.price
      }),
      payments: stryMutAct_9fa48("8") ? ["Stryker was here"] : (stryCov_9fa48("8"), [])
    });
    return stryMutAct_9fa48("9") ? {} : (stryCov_9fa48("9"), {
      order,
      events: stryMutAct_9fa48("10") ? [] : (stryCov_9fa48("10"), [stryMutAct_9fa48("11") ? {} : (stryCov_9fa48("11"), {
        subject: stryMutAct_9fa48("12") ? "" : (stryCov_9fa48("12"), 'order:created'),
        data: stryMutAct_9fa48("13") ? {} : (stryCov_9fa48("13"), {
          id,
          version: order.version,
          status: stryMutAct_9fa48("14") ? "" : (stryCov_9fa48("14"), 'created'),
          userId,
          expiresAt: order.expiresAt.toISOString(),
          ticket: stryMutAct_9fa48("15") ? {} : (stryCov_9fa48("15"), {
            id: ticket.id,
            price: ticket.price
          })
        })
      })])
    });
  }
}

/** The whole state table of an order. Pure: the same order and input always give the same decision. */
export function decide(order: Order, input: OrderInput): Decision {
  if (stryMutAct_9fa48("16")) {
    {}
  } else {
    stryCov_9fa48("16");
    switch (input.type) {
      case stryMutAct_9fa48("18") ? "" : (stryCov_9fa48("18"), 'cancel'):
        if (stryMutAct_9fa48("17")) {} else {
          stryCov_9fa48("17");
          if (stryMutAct_9fa48("21") ? order.status !== 'complete' : stryMutAct_9fa48("20") ? false : stryMutAct_9fa48("19") ? true : (stryCov_9fa48("19", "20", "21"), order.status === (stryMutAct_9fa48("22") ? "" : (stryCov_9fa48("22"), 'complete')))) return stryMutAct_9fa48("23") ? {} : (stryCov_9fa48("23"), {
            type: stryMutAct_9fa48("24") ? "" : (stryCov_9fa48("24"), 'refused'),
            reason: stryMutAct_9fa48("25") ? "" : (stryCov_9fa48("25"), 'already-paid')
          });
          return cancel(order, stryMutAct_9fa48("26") ? "" : (stryCov_9fa48("26"), 'user'));
        }
      case stryMutAct_9fa48("28") ? "" : (stryCov_9fa48("28"), 'expire'):
        if (stryMutAct_9fa48("27")) {} else {
          stryCov_9fa48("27");
          return cancel(order, stryMutAct_9fa48("29") ? "" : (stryCov_9fa48("29"), 'expired'));
        }
      case stryMutAct_9fa48("31") ? "" : (stryCov_9fa48("31"), 'pay'):
        if (stryMutAct_9fa48("30")) {} else {
          stryCov_9fa48("30");
          return pay(order, input.payment);
        }
      default:
        if (stryMutAct_9fa48("32")) {} else {
          stryCov_9fa48("32");
          return unreachable(input);
        }
    }
  }
}

/** Whether the order keeps its ticket from everyone else. A complete order keeps it for ever. */
export function holdsTicket(order: Pick<Order, 'status'>): boolean {
  if (stryMutAct_9fa48("33")) {
    {}
  } else {
    stryCov_9fa48("33");
    return stryMutAct_9fa48("36") ? order.status === 'cancelled' : stryMutAct_9fa48("35") ? false : stryMutAct_9fa48("34") ? true : (stryCov_9fa48("34", "35", "36"), order.status !== (stryMutAct_9fa48("37") ? "" : (stryCov_9fa48("37"), 'cancelled')));
  }
}
function cancel(order: Order, reason: CancelReason): Decision {
  if (stryMutAct_9fa48("38")) {
    {}
  } else {
    stryCov_9fa48("38");
    if (stryMutAct_9fa48("41") ? order.status === 'complete' && order.status === 'cancelled' : stryMutAct_9fa48("40") ? false : stryMutAct_9fa48("39") ? true : (stryCov_9fa48("39", "40", "41"), (stryMutAct_9fa48("43") ? order.status !== 'complete' : stryMutAct_9fa48("42") ? false : (stryCov_9fa48("42", "43"), order.status === (stryMutAct_9fa48("44") ? "" : (stryCov_9fa48("44"), 'complete')))) || (stryMutAct_9fa48("46") ? order.status !== 'cancelled' : stryMutAct_9fa48("45") ? false : (stryCov_9fa48("45", "46"), order.status === (stryMutAct_9fa48("47") ? "" : (stryCov_9fa48("47"), 'cancelled')))))) return UNCHANGED;
    const cancelled: Order = stryMutAct_9fa48("48") ? {} : (stryCov_9fa48("48"), {
      ...order,
      version: stryMutAct_9fa48("49") ? order.version - 1 : (stryCov_9fa48("49"), order.version + 1),
      status: stryMutAct_9fa48("50") ? "" : (stryCov_9fa48("50"), 'cancelled'),
      reason
    });
    return stryMutAct_9fa48("51") ? {} : (stryCov_9fa48("51"), {
      type: stryMutAct_9fa48("52") ? "" : (stryCov_9fa48("52"), 'changed'),
      order: cancelled,
      events: stryMutAct_9fa48("53") ? [] : (stryCov_9fa48("53"), [stryMutAct_9fa48("54") ? {} : (stryCov_9fa48("54"), {
        subject: stryMutAct_9fa48("55") ? "" : (stryCov_9fa48("55"), 'order:cancelled'),
        data: stryMutAct_9fa48("56") ? {} : (stryCov_9fa48("56"), {
          id: order.id,
          version: cancelled.version,
          ticket: stryMutAct_9fa48("57") ? {} : (stryCov_9fa48("57"), {
            id: order.ticket.id
          })
        })
      })])
    });
  }
}
function pay(order: Order, payment: Omit<Payment, 'refund'>): Decision {
  if (stryMutAct_9fa48("58")) {
    {}
  } else {
    stryCov_9fa48("58");
    if (stryMutAct_9fa48("61") ? order.payments.every(({
      id
    }) => id === payment.id) : stryMutAct_9fa48("60") ? false : stryMutAct_9fa48("59") ? true : (stryCov_9fa48("59", "60", "61"), order.payments.some(stryMutAct_9fa48("62") ? () => undefined : (stryCov_9fa48("62"), ({
      id
    }) => stryMutAct_9fa48("65") ? id !== payment.id : stryMutAct_9fa48("64") ? false : stryMutAct_9fa48("63") ? true : (stryCov_9fa48("63", "64", "65"), id === payment.id))))) return UNCHANGED;
    const refund = refundFor(order);
    const paid: Order = stryMutAct_9fa48("66") ? {} : (stryCov_9fa48("66"), {
      ...order,
      version: stryMutAct_9fa48("67") ? order.version - 1 : (stryCov_9fa48("67"), order.version + 1),
      status: (stryMutAct_9fa48("70") ? refund !== undefined : stryMutAct_9fa48("69") ? false : stryMutAct_9fa48("68") ? true : (stryCov_9fa48("68", "69", "70"), refund === undefined)) ? stryMutAct_9fa48("71") ? "" : (stryCov_9fa48("71"), 'complete') : order.status,
      payments: stryMutAct_9fa48("72") ? [] : (stryCov_9fa48("72"), [...order.payments, (stryMutAct_9fa48("75") ? refund !== undefined : stryMutAct_9fa48("74") ? false : stryMutAct_9fa48("73") ? true : (stryCov_9fa48("73", "74", "75"), refund === undefined)) ? payment : stryMutAct_9fa48("76") ? {} : (stryCov_9fa48("76"), {
        ...payment,
        refund
      })])
    });
    if (stryMutAct_9fa48("79") ? refund !== undefined : stryMutAct_9fa48("78") ? false : stryMutAct_9fa48("77") ? true : (stryCov_9fa48("77", "78", "79"), refund === undefined)) return stryMutAct_9fa48("80") ? {} : (stryCov_9fa48("80"), {
      type: stryMutAct_9fa48("81") ? "" : (stryCov_9fa48("81"), 'changed'),
      order: paid,
      events: stryMutAct_9fa48("82") ? ["Stryker was here"] : (stryCov_9fa48("82"), [])
    });
    return stryMutAct_9fa48("83") ? {} : (stryCov_9fa48("83"), {
      type: stryMutAct_9fa48("84") ? "" : (stryCov_9fa48("84"), 'changed'),
      order: paid,
      events: stryMutAct_9fa48("85") ? [] : (stryCov_9fa48("85"), [stryMutAct_9fa48("86") ? {} : (stryCov_9fa48("86"), {
        subject: stryMutAct_9fa48("87") ? "" : (stryCov_9fa48("87"), 'order:refund-required'),
        data: stryMutAct_9fa48("88") ? {} : (stryCov_9fa48("88"), {
          orderId: order.id,
          userId: order.userId,
          paymentId: payment.id,
          stripeId: payment.stripeId,
          reason: refund,
          paidInTime: stryMutAct_9fa48("92") ? payment.at >= order.expiresAt : stryMutAct_9fa48("91") ? payment.at <= order.expiresAt : stryMutAct_9fa48("90") ? false : stryMutAct_9fa48("89") ? true : (stryCov_9fa48("89", "90", "91", "92"), payment.at < order.expiresAt),
          ticket: stryMutAct_9fa48("93") ? {} : (stryCov_9fa48("93"), {
            id: order.ticket.id,
            price: order.ticket.price
          })
        })
      })])
    });
  }
}

/** A cancelled order never comes back: its ticket may have been sold again. */
function refundFor(order: Order): RefundReason | undefined {
  if (stryMutAct_9fa48("94")) {
    {}
  } else {
    stryCov_9fa48("94");
    if (stryMutAct_9fa48("97") ? order.status !== 'cancelled' : stryMutAct_9fa48("96") ? false : stryMutAct_9fa48("95") ? true : (stryCov_9fa48("95", "96", "97"), order.status === (stryMutAct_9fa48("98") ? "" : (stryCov_9fa48("98"), 'cancelled')))) return stryMutAct_9fa48("99") ? "" : (stryCov_9fa48("99"), 'late');
    // A complete order without any payment was imported: the first payment it hears is its own.
    if (stryMutAct_9fa48("102") ? order.status === 'complete' || order.payments.length > 0 : stryMutAct_9fa48("101") ? false : stryMutAct_9fa48("100") ? true : (stryCov_9fa48("100", "101", "102"), (stryMutAct_9fa48("104") ? order.status !== 'complete' : stryMutAct_9fa48("103") ? true : (stryCov_9fa48("103", "104"), order.status === (stryMutAct_9fa48("105") ? "" : (stryCov_9fa48("105"), 'complete')))) && (stryMutAct_9fa48("108") ? order.payments.length <= 0 : stryMutAct_9fa48("107") ? order.payments.length >= 0 : stryMutAct_9fa48("106") ? true : (stryCov_9fa48("106", "107", "108"), order.payments.length > 0)))) return stryMutAct_9fa48("109") ? "" : (stryCov_9fa48("109"), 'second');
    return undefined;
  }
}
function unreachable(input: never): never {
  if (stryMutAct_9fa48("110")) {
    {}
  } else {
    stryCov_9fa48("110");
    throw new TypeError(stryMutAct_9fa48("111") ? `` : (stryCov_9fa48("111"), `no such input: ${JSON.stringify(input)}`));
  }
}