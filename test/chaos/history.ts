/**
 * What a campaign writes down, one JSON object per line. Times (`t`) are milliseconds since its start, by the one
 * monotonic clock of the process that drives it; `wallMs` of the first line ties them to the clock on the wall.
 */

import type { StoredOrder } from '../invariants/stored-order';
import type { Stored as ChannelMessage } from '../support/nats-peer';
import type { VitalSigns } from './service/vitals';

export type { ChannelMessage, StoredOrder };

/** The first line. */
export interface Start {
  readonly kind: 'start';
  readonly t: number;
  /** `Date.now()` at `t`. */
  readonly wallMs: number;
  readonly seed: number;
  readonly minutes: number;
  readonly windowSeconds: number;
  readonly graceSeconds: number;
  readonly replicas: readonly string[];
}

/** A request is on its way from now on. */
export interface Invoke {
  readonly kind: 'invoke';
  readonly t: number;
  /** Its number; the answer carries the same. */
  readonly call: number;
  readonly op: 'place' | 'cancel' | 'show' | 'list';
  readonly replica: string;
  readonly user: string;
  readonly ticketId?: string;
  readonly orderId?: string;
  readonly key?: string;
}

export interface Answer {
  readonly kind: 'answer';
  readonly t: number;
  readonly call: number;
  /** The HTTP status; 0 where no answer came: nobody knows whether it took place. */
  readonly status: number;
  /** Of a 201, and of a 409 or 200 that names an order. */
  readonly orderId?: string;
  /** The body of a 201, to the byte. */
  readonly body?: string;
  /** Of a `show`. */
  readonly order?: { readonly version: number; readonly status: string };
}

/** A fault begins, or what it broke is whole again. */
export interface Fault {
  readonly kind: 'fault';
  readonly t: number;
  /** The same number for both phases. */
  readonly id: number;
  readonly phase: 'begin' | 'end';
  /** SIGKILL, SIGSTOP, crash point, rolling restart, cut, black hole, delay, answer swallowed, disk full. */
  readonly fault: string;
  /** `replica a`, `broker`, `database`, or a link: `replica a → database`. */
  readonly target: string;
  readonly detail?: string;
}

/** A process ended. */
export interface Exit {
  readonly kind: 'exit';
  readonly t: number;
  readonly target: string;
  readonly code: number | null;
  readonly signal: string | null;
  /** Whether the campaign brought it about. */
  readonly expected: boolean;
}

/** A look at the whole from outside, a few times a second. */
export interface Sample {
  readonly kind: 'sample';
  readonly t: number;
  /** Orders with events to publish. Absent: the database could not be asked. */
  readonly pending?: number;
  /** Tickets that were looked at, and those that two orders held. */
  readonly tickets?: number;
  readonly twiceHeld?: readonly string[];
}

/** What the replica that is never restarted says of itself. */
export interface Vitals extends VitalSigns {
  readonly kind: 'vitals';
  readonly t: number;
  readonly replica: string;
}

/** A line of a process's log that should not be there: an error nobody expected, a leak warning. */
export interface Complaint {
  readonly kind: 'complaint';
  readonly t: number;
  readonly target: string;
  readonly text: string;
}

/** All faults are over; from here on everything has to become whole by itself. */
export interface FaultsOver {
  readonly kind: 'faults over';
  readonly t: number;
}

/** The last line: whether it did, and what was still missing if not. */
export interface End {
  readonly kind: 'end';
  readonly t: number;
  readonly converged: boolean;
  readonly missing?: string;
}

export type HistoryLine =
  Start | Invoke | Answer | Fault | Exit | Sample | Vitals | Complaint | FaultsOver | End;

/** What is left when everything has come to rest. */
export interface Remains {
  readonly orders: readonly StoredOrder[];
  readonly tickets: readonly { readonly id: string; readonly version: number }[];
  /** `id` is `<subject>:<sequence>:<broker timestamp in ms>`; `parked` while it is to be tried again. */
  readonly failedMessages: readonly {
    readonly id: string;
    readonly data: string;
    readonly parked: boolean;
  }[];
  /** By subject, in the order of the channel. */
  readonly channels: ReadonlyMap<string, readonly ChannelMessage[]>;
}

/** The channels that the service hears, and those that it announces its orders on. */
export const HEARD = ['ticket:created', 'ticket:updated', 'expiration:complete', 'payment:created'] as const;
export const ANNOUNCED = ['order:created', 'order:cancelled', 'order:refund-required'] as const;
export const CHANNELS = [...HEARD, ...ANNOUNCED] as const;

/** In every message that nobody can read. */
export const POISON_MARK = 'poison';
/** Orders of others: what is said about them is parked, and dead in the end. */
export const FOREIGN_ORDER_PREFIX = 'f0f0f0f0';

/** The load keeps no more open to one replica. */
export const CLIENT_CONNECTIONS = 64;
