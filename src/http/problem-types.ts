/** What the page of a problem type says, besides its status and title. */
interface ProblemType {
  readonly status: number;
  readonly title: string;
  /** When the service answers with it. */
  readonly cause: string;
  /** What a client does about it. */
  readonly remedy: string;
}

/** Every type of problem that the service answers with, by its code: the last segment of the `type`. */
export const PROBLEM_TYPES = {
  'malformed-request': {
    status: 400,
    title: 'This is not a valid HTTP/1.1 request',
    cause:
      'The request line, a header field or the framing of the body violates HTTP/1.1, or the body is not as long as announced.',
    remedy: 'Correct the HTTP client, or the proxy before the service. Repeating the request does not help.',
  },
  'missing-host': {
    status: 400,
    title: 'A request of HTTP/1.1 needs a Host header',
    cause: 'The request has no Host header.',
    remedy: 'Send a Host header, as every HTTP library does.',
  },
  'malformed-path': {
    status: 400,
    title: 'The path is not properly percent-encoded',
    cause: 'A percent sign in the path is not followed by the code of a character in UTF-8.',
    remedy: 'Encode each segment of the path, for example with encodeURIComponent().',
  },
  'malformed-json': {
    status: 400,
    title: 'The body is not valid JSON',
    cause: 'The body cannot be parsed.',
    remedy: 'Send JSON (RFC 8259) in UTF-8.',
  },
  'invalid-request': {
    status: 400,
    title: 'The request is not valid',
    cause: 'A field, query parameter or header has a wrong value, is missing or is not known.',
    remedy: 'Correct what `errors` names: each entry has a message and, in `field`, the part that is wrong.',
  },
  'not-authorized': {
    status: 401,
    title: 'Not authorized',
    cause:
      'There is no token, or the token has expired, is not valid yet or is not one that this service accepts. ' +
      '`detail` and WWW-Authenticate say which.',
    remedy: 'Sign in again and repeat the request with the new token.',
  },
  'cross-site': {
    status: 403,
    title: 'Another site may not change anything',
    cause: 'A page of another site sent a change with the session cookie.',
    remedy:
      'Send the change from a page of the same site, or with a Bearer token. An operator can allow the origin with CORS_ORIGINS.',
  },
  'not-from-here': {
    status: 403,
    title: 'Only programs on this machine may play the other services',
    cause: 'The development route was called through a browser or a proxy, or from another machine.',
    remedy: 'Call it with a program on the machine of the service: `npm run peer`.',
  },
  'no-such-route': {
    status: 404,
    title: 'Not found',
    cause: 'There is nothing at this path.',
    remedy: 'Compare the path with the OpenAPI document, and with the base path of the service.',
  },
  'unknown-ticket': {
    status: 404,
    title: 'There is no such ticket',
    cause:
      'The service has not received a ticket with this id. A new ticket is known a moment after its creation.',
    remedy: 'Check the id. For a ticket that was just created, repeat the request after a second.',
  },
  'unknown-order': {
    status: 404,
    title: 'There is no such order',
    cause: 'No order has this id, or it belongs to another user.',
    remedy: 'Check the id and the user who is signed in. The list has all orders of the user.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'This method is not allowed here',
    cause: 'The path exists, but not with this method.',
    remedy: 'Use a method that the Allow header names.',
  },
  'request-timeout': {
    status: 408,
    title: 'The request did not arrive in time',
    cause:
      'The headers took longer than 5 seconds to arrive, or the whole request longer than 10. No order was ' +
      'placed. The time that `wait` takes does not count.',
    remedy: 'Send the request again, with the same Idempotency-Key if it has one.',
  },
  'ticket-reserved': {
    status: 409,
    title: 'Ticket is already reserved',
    cause: 'An order holds the ticket. If it is an order of the same user, `orderId` and Location name it.',
    remedy:
      'Show the named order. Without one, offer another ticket; this one is free again if its order is cancelled.',
  },
  'reserved-elsewhere': {
    status: 409,
    title: 'Ticket is reserved elsewhere',
    cause: 'The ticket service holds the ticket for an order that this service does not know.',
    remedy: 'Offer another ticket.',
  },
  'price-changed': {
    status: 409,
    title: 'The price of the ticket has changed',
    cause: 'The request names a `price`, and the ticket has another one. Nothing was placed.',
    remedy:
      'Show the new `price` to the buyer. If the buyer agrees, send the request with it. The Idempotency-Key may be ' +
      'the same: a refusal does not use it up.',
  },
  'too-many-open-orders': {
    status: 409,
    title: 'Too many open orders',
    cause:
      'The user has as many open orders as the operator allows (MAX_OPEN_ORDERS_PER_USER). An order is open while it ' +
      'is `created` or `awaiting:payment`: unpaid, and holding its ticket. Nothing was placed.',
    remedy:
      'Pay or cancel an open order, or wait until one expires, then repeat the request. The list has them with ' +
      '`status=created&status=awaiting:payment`.',
  },
  'already-paid': {
    status: 409,
    title: 'Order is already paid',
    cause:
      'A payment was received for the order, so it cannot be cancelled. If the request has an If-Match that does not ' +
      'name the version of the paid order, the answer is 412 `precondition-failed` instead.',
    remedy: 'Show the order as complete.',
  },
  'precondition-failed': {
    status: 412,
    title: 'If-Match does not name the version of the order',
    cause:
      'The order has changed since the answer with that ETag, or the tag is weak: such a tag matches no order. This is ' +
      'checked before whether the order is paid.',
    remedy: 'Read the order again and decide again, with its new ETag.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is larger than 10 kB',
    cause: 'The body has more than 10 kB.',
    remedy: 'Send only the documented fields.',
  },
  'chunk-extensions-too-large': {
    status: 413,
    title: 'The chunk extensions are too large',
    cause: 'The chunk extensions of the body have more than 16 kB.',
    remedy: 'Send no chunk extensions.',
  },
  'not-json': {
    status: 415,
    title: 'Content-Type must be application/json',
    cause: 'The body has another Content-Type, or none.',
    remedy: 'Send JSON with Content-Type: application/json.',
  },
  'unsupported-charset': {
    status: 415,
    title: 'The body must be UTF-8',
    cause: 'Content-Type names another character set.',
    remedy: 'Send UTF-8.',
  },
  'unsupported-encoding': {
    status: 415,
    title: 'The body must not be compressed',
    cause: 'The request has a Content-Encoding.',
    remedy: 'Send the body uncompressed.',
  },
  'unknown-expectation': {
    status: 417,
    title: 'Only 100-continue can be expected',
    cause: 'The Expect header has another value than 100-continue.',
    remedy: 'Send no Expect header.',
  },
  'key-reused': {
    status: 422,
    title: 'The key was used for another request; a new request needs a new key',
    cause:
      'In the last 24 hours the user placed an order with this Idempotency-Key, for another ticket or at another price ' +
      'than this request names.',
    remedy: 'Use a new key for each new order, and the same key only to repeat a request unchanged.',
  },
  'too-many-requests': {
    status: 429,
    title: 'Too many requests',
    cause: 'The user sent more requests in this minute than the limit in RateLimit-Policy.',
    remedy: 'Wait for as many seconds as Retry-After says, then repeat the request.',
  },
  'headers-too-large': {
    status: 431,
    title: 'The header fields are larger than 16 kB',
    cause: 'All header fields together have more than 16 kB, or there are too many of them.',
    remedy: 'Send fewer or smaller header fields, for example fewer cookies.',
  },
  'internal-error': {
    status: 500,
    title: 'Something went wrong on our side',
    cause:
      'An unexpected error. The request may have taken effect. The log has the error under the request id that is in ' +
      '`instance` and X-Request-Id.',
    remedy:
      'Repeat the request once, a POST only with the Idempotency-Key that it had. If it fails again, report the ' +
      'request id.',
  },
  unavailable: {
    status: 503,
    title: 'The service cannot answer right now',
    cause: 'The database is not available, or did not answer in time. The request may have taken effect.',
    remedy:
      'Wait for as many seconds as Retry-After says, then repeat the request. A POST is safe to repeat with the ' +
      'Idempotency-Key that it had: without one, read the list first, because the order may have been placed.',
  },
} as const satisfies Readonly<Record<string, ProblemType>>;

/** The stable name of a problem type. */
export type ProblemCode = keyof typeof PROBLEM_TYPES;

/** All codes, by status. */
export const PROBLEM_CODES = Object.keys(PROBLEM_TYPES) as readonly ProblemCode[];

export function isProblemCode(text: string): text is ProblemCode {
  return Object.hasOwn(PROBLEM_TYPES, text);
}
