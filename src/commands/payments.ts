import type { Payment } from '../domain/order';

/** When the payment was made. Of the payment behind a placeholder that is not known. */
export function paidAt({ at, placeholder }: Pick<Payment, 'at' | 'placeholder'>): Date | undefined {
  return placeholder ? undefined : at;
}

/** Why the payment must be refunded, for a person. */
export function textOfRefund({ refund, placeholder }: Pick<Payment, 'refund' | 'placeholder'>): string {
  return placeholder ? 'imported, not received yet' : (refund ?? '');
}
