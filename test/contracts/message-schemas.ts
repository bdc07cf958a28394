import { z } from 'zod';
import type { OrderEvent } from '../../src/domain/events';
import { expirationMessage, paymentMessage, ticketMessage } from '../../src/messaging/contracts';

/** The schemas of docs/asyncapi.yaml, by their names there. */

const id = z.string().regex(/^[0-9a-f]{24}$/);
const userId = z.string().min(1).max(200);
const price = z.number().min(0);

/** What peers send: the schemas by which the service reads it. */
const received = {
  Ticket: ticketMessage,
  ExpirationComplete: expirationMessage,
  PaymentCreated: paymentMessage,
};

type DataOf<Subject extends OrderEvent['subject']> = z.ZodType<
  Extract<OrderEvent, { readonly subject: Subject }>['data']
>;

/** What the service publishes. Strict: a field that is not named here must be added here. */
export const published = {
  OrderCreated: z.strictObject({
    id: id.describe('The id of the order.'),
    version: z.literal(0),
    status: z.literal('created'),
    userId: userId.describe('The buyer: the payment service lets nobody else pay.'),
    expiresAt: z
      .string()
      .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      .meta({
        format: 'date-time',
        description:
          'Until when the order can be paid: ISO 8601 in UTC. A PaymentCreated that the broker accepts before is in time; a later one may have to be refunded.',
      }),
    ticket: z.strictObject({
      id,
      price: price.describe(
        'What the buyer pays: a number as the ticket service announced it. This service knows no currency and no unit.',
      ),
    }),
  }) satisfies DataOf<'order:created'>,
  OrderCancelled: z.strictObject({
    id: id.describe('The id of the order.'),
    version: z
      .int()
      .min(1)
      .describe('One above the version before: 1, if the order was placed with this service.'),
    ticket: z.strictObject({ id: id.describe('The ticket, which is free again.') }),
  }) satisfies DataOf<'order:cancelled'>,
  RefundRequired: z.strictObject({
    orderId: id.describe('The order that the payment was for.'),
    userId: userId.describe('The buyer.'),
    paymentId: z
      .string()
      .min(1)
      .max(255)
      .describe('The payment to refund: the `id` of its PaymentCreated. It identifies this event.'),
    stripeId: z
      .string()
      .min(1)
      .max(255)
      .exactOptional()
      .describe("The provider's id of the charge, if there is one."),
    reason: z
      .enum(['late', 'second'])
      .describe('`late`: the order was cancelled before. `second`: another payment completed it before.'),
    paidInTime: z
      .boolean()
      .describe(
        'Whether the broker accepted the payment before `expiresAt`. The payment must be refunded in both cases.',
      ),
    ticket: z.strictObject({ id, price: price.describe('The price of the order, not what was charged.') }),
  }) satisfies DataOf<'order:refund-required'>,
};

/** By the subjects of the events. */
export const schemaOfEvent = {
  'order:created': published.OrderCreated,
  'order:cancelled': published.OrderCancelled,
  'order:refund-required': published.RefundRequired,
} satisfies Record<OrderEvent['subject'], z.ZodType>;

/** As JSON Schema: what the service accepts, and what it publishes. */
export function messageSchemas(): Record<string, object> {
  return Object.fromEntries(
    Object.entries({ ...received, ...published }).map(([name, schema]) => {
      const { $schema: _, ...jsonSchema } = z.toJSONSchema(schema, { io: 'input', override: open });
      return [name, jsonSchema];
    }),
  );
}

/** A consumer that validates must not break when a later version adds a field or a value. */
function open({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  delete jsonSchema.additionalProperties;
  if (jsonSchema.enum === undefined) return;
  jsonSchema['x-extensible-enum'] = jsonSchema.enum;
  delete jsonSchema.enum;
}
