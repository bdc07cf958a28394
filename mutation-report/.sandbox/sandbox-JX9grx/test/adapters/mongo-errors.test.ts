import { Error as MongooseErrors, mongo } from 'mongoose';
import { toUnavailable } from '../../src/adapters/mongo/errors';
import { Unavailable } from '../../src/application/ports';

describe('an error of the driver', () => {
  it.each<[string, Error]>([
    ['a lost connection', new mongo.MongoNetworkError('10.0.0.1:27017 closed')],
    ['no server', new mongo.MongoServerSelectionError('no server at 10.0.0.1', {} as never)],
    ['a server that shuts down', new mongo.MongoServerError({ message: 'shutting down', code: 91 })],
    ['a lack of replicas', new mongo.MongoServerError({ message: 'waiting for replication', code: 64 })],
    [
      'a write that was not confirmed',
      new mongo.MongoWriteConcernError({ ok: 1, writeConcernError: { code: 64, errmsg: 'timed out' } }),
    ],
    ['an answer that did not come in time', new mongo.MongoOperationTimeoutError('Timed out')],
    ['a closed topology', new mongo.MongoTopologyClosedError('closed')],
    ['a closed server', new mongo.MongoServerClosedError('closed')],
    ['a closed client', new mongo.MongoClientClosedError()],
    ['a client that is not connected', new mongo.MongoNotConnectedError('not connected')],
    ['a session that has ended', new mongo.MongoExpiredSessionError('ended')],
    ['a failed sign-in', new mongo.MongoServerError({ message: 'Authentication failed.', code: 18 })],
    // Found by a campaign (seed 8): a write met a connection that the server was just closing.
    ['a socket that is being closed', socketError('EPIPE', 'This socket has been ended by the other party')],
    ['a socket that was reset', socketError('ECONNRESET', 'read ECONNRESET')],
    ['no server, in words of Mongoose', new MongooseErrors.MongooseServerSelectionError('none')],
    ['a connection that was never made', new MongooseErrors('Cannot call `x` before initial connection')],
  ])('means unavailable when it tells of %s, and only its cause tells more', (_, error) => {
    const told = toUnavailable(error);

    expect(told).toBeInstanceOf(Unavailable);
    expect(told).toMatchObject({ message: 'the database did not answer', cause: error });
  });

  it.each<[string, Error]>([
    ['a bug', new TypeError('undefined is not a function')],
    ['a wrong argument', new mongo.MongoInvalidArgumentError('no such option')],
    ['a wrong command', new mongo.MongoServerError({ message: 'unknown operator', code: 2 })],
    ['a wrong type', new MongooseErrors.CastError('ObjectId', 'x', '_id')],
  ])('stays what it is when it tells of %s', (_, error) => {
    expect(toUnavailable(error)).toBe(error);
  });
});

function socketError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
